/** The first features of a ranking off together, on every searched prompt: one call a prompt and ranking, one mask a count. */
import type { MaskScores } from '../../../../proto/gen/refusalscope/v1/search.js';
import { encodeMaskIndices } from '../../../../shared/tensors/mask-bits.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import { drainCall } from '../../peers/drain-call.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../../peers/to-wire.js';
import type { Count } from '../../report/report-type.js';
import { searchPrompts } from '../search-prompts.js';
import type { StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';

/** Prompts that flip, one count an entry of `counts` (ascending). */
export const ablateTopFeatures = async (
  context: StageContext,
  earlier: StageResults,
  ranking: { readonly name: string; readonly features: readonly string[] },
  counts: readonly number[],
): Promise<Count[]> => {
  const { spec, peers } = context;
  const features = ranking.features.slice(0, counts.at(-1));
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    features: encodeFeatures(features),
    positions: encodePositions(spec.positions),
    masks: counts.map((count) => ({ bits: encodeMaskIndices([...Array(count).keys()], features.length) })),
  };
  const scores = await context.forEachPrompt(
    searchPrompts(spec, earlier),
    async (prompt, call) => {
      const sampled = await drainCall<MaskScores>(call, (known, options) =>
        peers.search.sampleMasks({ ...request, prompts: [encodePrompt(prompt)], known }, options),
      );
      return [...sampled.refusalScores];
    },
    `top-${ranking.name}`,
  );
  return counts.map((_, i) => ({ count: scores.filter((own) => own[i]! < 0).length, of: scores.length }));
};
