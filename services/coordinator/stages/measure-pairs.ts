/** Exact 2x2 ablations of the strongest pairs of the fit, so that a predicted interaction stands beside a measured one. */
import type { InteractionMeasurements } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { ConfirmedPair, FitFacts } from '../report/report-type.js';
import type { PromptWithSet } from './search-prompts.js';
import type { StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

// Three evaluations a pair and prompt: 8 x 8 pairs and prompts are under 200, a small part of an audit.
const MAX_PAIRS = 8;
const MAX_PROMPTS = 8;

export const measurePairs = async (
  context: StageContext,
  earlier: StageResults,
  ranked: FitFacts['pairs'],
  cases: readonly PromptWithSet[],
): Promise<ConfirmedPair[]> => {
  const { spec, peers } = context;
  const pairs = ranked.slice(0, MAX_PAIRS);
  if (pairs.length === 0) return [];
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    positions: encodePositions(spec.positions),
    pairs: pairs.map(({ first, second }) => {
      const [firstFeature, secondFeature] = encodeFeatures([first, second]);
      return { first: firstFeature, second: secondFeature };
    }),
  };
  const measured = await context.forEachPrompt(
    cases.slice(0, MAX_PROMPTS).map(({ prompt }) => prompt),
    async (prompt, call) => {
      const found = await drainCall<InteractionMeasurements>(call, (known, options) =>
        peers.search.measureInteractions({ ...request, prompt: encodePrompt(prompt), known }, options),
      );
      return found.pairs.map(({ neither, firstOff, secondOff, bothOff, interaction }) => ({
        promptId: prompt.id,
        neither,
        firstOff,
        secondOff,
        bothOff,
        interaction,
      }));
    },
    'pairs',
  );
  return pairs.map(({ first, second, effect }, i) => {
    const prompts = measured.map((rows) => present(rows[i], 'a measured pair'));
    const mean = prompts.reduce((total, { interaction }) => total + interaction, 0) / prompts.length;
    return { first, second, predicted: effect, measured: mean, prompts };
  });
};
