/** What the first features of rankings flip, prompt by prompt in the checkpoint, and added up over the prompts. */
import type { RankingMeasurements, RankingPoint } from '../../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import type { AuditPrompt } from '../../audit/audit-spec.js';
import { drainCall } from '../../peers/drain-call.js';
import { decodeControlArm, present } from '../../peers/from-wire.js';
import { encodeDirection, encodeFeatures, encodePrompt, encodeScore } from '../../peers/to-wire.js';
import type { ControlArmFacts } from '../../report/report-type.js';
import { addArms } from '../add-arms.js';
import { derivedSeed } from '../derived-seed.js';
import type { StageContext } from '../stage.js';
import type { DirectionVector, StageResults } from '../stage-results.js';

export interface Ranking {
  readonly name: string;
  /** The first of it first. */
  readonly features: readonly string[];
}

export interface RankingsToMeasure {
  readonly rankings: readonly Ranking[];
  /** How many are off together; ascending. */
  readonly counts: readonly number[];
  /** Layers whose active features are taken in random order too. */
  readonly randomLayers?: readonly number[];
  readonly direction?: DirectionVector | null;
}

type Points = readonly ({ readonly features: number } & ControlArmFacts)[];

export interface MeasuredRankings {
  /** In the order of the rankings. */
  readonly rankings: readonly Points[];
  readonly randomActive: Points;
  readonly directionAblation: ControlArmFacts | null;
}

/** @param part names the prompts' results in the checkpoint; the seed of a prompt's random order follows from it. */
export const measureRankings = async (
  context: StageContext,
  earlier: StageResults,
  prompts: readonly AuditPrompt[],
  { rankings, counts, randomLayers = [], direction = null }: RankingsToMeasure,
  part: string,
): Promise<MeasuredRankings> => {
  const { spec, peers } = context;
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    positions: encodePositions(spec.positions),
    rankings: rankings.map(({ name, features }) => ({ name, features: encodeFeatures(features) })),
    counts: [...counts],
    randomLayers: [...randomLayers],
    ...(direction !== null && { direction: encodeDirection(direction) }),
  };
  const parts = await context.forEachPrompt(
    prompts,
    async (prompt, call) => {
      const seed = derivedSeed(spec.seed, `${part}/${prompt.id}`);
      const measured = await drainCall<RankingMeasurements>(call, (known, options) =>
        peers.search.measureRankings({ ...request, prompts: [encodePrompt(prompt)], seed, known }, options),
      );
      return decodeMeasurements(measured);
    },
    part,
  );
  return {
    rankings: rankings.map((_, i) => addPoints(parts.map((one) => one.rankings[i] ?? []))),
    randomActive: addPoints(parts.map((one) => one.randomActive)),
    directionAblation: addArms(parts.map((one) => one.directionAblation)),
  };
};

const decodeMeasurements = ({ rankings, randomActive, directionAblation }: RankingMeasurements): MeasuredRankings => ({
  rankings: rankings.map(({ points }) => decodePoints(points)),
  randomActive: decodePoints(randomActive),
  directionAblation: directionAblation === undefined ? null : decodeControlArm(directionAblation),
});

const decodePoints = (points: readonly RankingPoint[]): Points =>
  points.map(({ features, arm }) => ({ features, ...decodeControlArm(present(arm, 'what a ranking flips')) }));

/** By the number of features off, ascending. */
const addPoints = (byPrompt: readonly Points[]): Points => {
  const points = byPrompt.flat();
  const counts = [...new Set(points.map(({ features }) => features))].sort((a, b) => a - b);
  return counts.flatMap((features) => {
    const arm = addArms(points.filter((point) => point.features === features));
    return arm === null ? [] : [{ features, ...arm }];
  });
};
