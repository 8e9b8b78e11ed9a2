/** What the seeds of one mechanism say together. */
import type { Mechanism } from './mechanism.js';
import type { SeedRun } from './run-seed.js';
import type { AgainstModel } from './score-against-model.js';
import type { Score } from './score-recovery.js';
import { addScores } from './tally.js';

export interface MechanismResult {
  readonly mechanism: string;
  readonly about: string;
  /** Absent: no noise. */
  readonly snr?: number;
  readonly seeds: number;
  readonly score: Score;
  /** Of the seeds with noise. */
  readonly againstModel?: AgainstModel;
  /** Lowest share of prompts where score and judged text agree. */
  readonly agreement: number;
  /** Of the search alone, a model. */
  readonly evaluations: number;
  readonly seconds: number;
  /** Seeds in which anything was missed or false. */
  readonly imperfect: readonly number[];
}

export function summarizeRuns(mechanism: Mechanism, runs: readonly SeedRun[]): MechanismResult {
  const mean = (pick: (run: SeedRun) => number) => runs.reduce((total, run) => total + pick(run), 0) / runs.length;
  const against = runs.flatMap(({ againstModel }) => againstModel ?? []);
  return {
    mechanism: mechanism.name,
    about: mechanism.about,
    ...(mechanism.snr !== undefined && { snr: mechanism.snr }),
    seeds: runs.length,
    score: addScores(runs.map(({ score }) => score)),
    ...(against.length > 0 && { againstModel: addScores(against) }),
    agreement: Math.min(...runs.map(({ agreement }) => agreement)),
    evaluations: Math.round(mean(({ evaluations }) => evaluations)),
    seconds: mean(({ seconds }) => seconds),
    imperfect: runs.filter(({ score }) => !isPerfect(score)).map(({ seed }) => seed),
  };
}

export const isPerfect = (score: Score): boolean =>
  Object.entries(score).every(([key, part]) => {
    if (typeof part === 'number' || key === 'nearest') return true;
    if (key === 'nullHydras') return part.right === 0;
    return 'hits' in part ? part.hits === part.found && part.hits === part.real : part.right === part.asked;
  });
