/** One mechanism over several seeds: planted, opened, searched, scored, deleted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine, openSaes } from './engine-ports.js';
import type { Mechanism } from './mechanism.js';
import { plantModel } from './plant/plant-model.js';
import { recover } from './recover.js';
import { addScores, type Score, scoreRecovery } from './score-recovery.js';

export interface MechanismResult {
  readonly mechanism: string;
  readonly about: string;
  /** Absent: no noise. */
  readonly snr?: number;
  readonly seeds: number;
  readonly score: Score;
  /** Lowest share of prompts where score and judged text agree. */
  readonly agreement: number;
  /** Of the search alone, a model. */
  readonly evaluations: number;
  readonly seconds: number;
  /** Seeds in which anything was missed or false. */
  readonly imperfect: readonly number[];
}

export async function runMechanism(mechanism: Mechanism, seeds: number): Promise<MechanismResult> {
  const runs: (Awaited<ReturnType<typeof runOnce>> & { readonly seed: number })[] = [];
  for (let seed = 1; seed <= seeds; seed++) runs.push({ seed, ...(await runOnce(mechanism, seed)) });
  const sum = (pick: (run: (typeof runs)[number]) => number) => runs.reduce((total, run) => total + pick(run), 0);
  return {
    mechanism: mechanism.name,
    about: mechanism.about,
    ...(mechanism.snr !== undefined && { snr: mechanism.snr }),
    seeds,
    score: addScores(runs.map(({ score }) => score)),
    agreement: Math.min(...runs.map(({ agreement }) => agreement)),
    evaluations: Math.round(sum(({ evaluations }) => evaluations) / seeds),
    seconds: sum(({ seconds }) => seconds) / seeds,
    imperfect: runs.filter(({ score }) => !isPerfect(score)).map(({ seed }) => seed),
  };
}

async function runOnce(mechanism: Mechanism, seed: number) {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-planted-'));
  try {
    const planted = plantModel(mechanism, { folder, seed });
    const model = await openEngine(planted.modelFolder, `${mechanism.name} ${mechanism.snr ?? ''} ${seed}`);
    const saes = openSaes(planted.saeFolder);
    try {
      const start = performance.now();
      const recovery = await recover(planted, { model, saes });
      const { agreement, evaluations } = recovery;
      return {
        score: scoreRecovery(planted, recovery),
        agreement,
        evaluations,
        seconds: (performance.now() - start) / 1000,
      };
    } finally {
      saes.close();
      await model.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export const isPerfect = (score: Score): boolean =>
  Object.entries(score).every(([key, part]) => {
    if (typeof part === 'number' || key === 'nearest') return true;
    if (key === 'nullHydras') return part.right === 0;
    return 'hits' in part ? part.hits === part.found && part.hits === part.real : part.right === part.asked;
  });
