/** Stage 2 under every threshold of the sweep. Evaluations that two thresholds share are made once. */
import type { MinimalSet } from '../../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import type { PaperSettings } from '../../audit/paper-settings.js';
import { drainCall } from '../../peers/drain-call.js';
import { decodeMinimalSet } from '../../peers/from-wire.js';
import { encodeDirection, encodeFilterMethod, encodePrompt, encodeScore } from '../../peers/to-wire.js';
import type { SweepStep } from '../../report/paper-facts.js';
import type { MinimalSetFacts } from '../../report/report-type.js';
import { directionsOf } from '../candidates.js';
import { derivedSeed } from '../derived-seed.js';
import { searchPrompts } from '../search-prompts.js';
import type { StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';

export const sweepThresholds = async (
  context: StageContext,
  earlier: StageResults,
  { blockSize, seeds, thresholds }: PaperSettings,
): Promise<SweepStep[]> => {
  const { spec, peers } = context;
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    directions: directionsOf(earlier, earlier.describe.layers).map(encodeDirection),
    growth: [...spec.growth],
    positions: encodePositions(spec.positions),
    method: encodeFilterMethod('paper'),
    blockSize,
    seeds,
  };
  const steps: SweepStep[] = [];
  for (const threshold of thresholds) {
    const sets = await context.forEachPrompt(
      searchPrompts(spec, earlier),
      async (prompt, call) => {
        const seed = derivedSeed(spec.seed, `filter/${prompt.id}`);
        const found = await drainCall<MinimalSet>(call, (known, options) =>
          peers.search.filterPrompt({ ...request, threshold, prompt: encodePrompt(prompt), seed, known }, options),
        );
        return decodeMinimalSet(found, prompt.id, prompt.category);
      },
      `threshold-${thresholds.indexOf(threshold) + 1}`,
    );
    steps.push(describeStep(threshold, sets));
  }
  return steps;
};

export const describeStep = (threshold: number, sets: readonly MinimalSetFacts[]): SweepStep => {
  const found = sets.filter(({ outcome }) => outcome === 'found');
  const members = found.flatMap((set) => set.members.map(({ feature }) => feature));
  return {
    threshold,
    flips: { count: found.filter(({ setScore }) => setScore !== null && setScore < 0).length, of: sets.length },
    distinctFeatures: new Set(members).size,
    meanSize: found.length === 0 ? null : members.length / found.length,
  };
};
