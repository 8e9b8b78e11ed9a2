/**
 * Stage "hydra": over the prompts together, which features wake once the sets are off and then carry the refusal. One call for all of them:
 * an effect is a mean over prompts, and the share of false features is controlled over everything that was tested.
 */
import type { HydraReport } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { decodeHydra } from '../peers/claims-from-wire.js';
import { drainCall } from '../peers/drain-call.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { Hydra } from '../report/report-type.js';
import { chooseCases } from './claim-cases.js';
import { derivedSeed } from './derived-seed.js';
import type { Stage } from './stage.js';

// One prompt says nothing about a mean.
const MIN_PROMPTS = 2;

export const hydraStage: Stage<'hydra'> = {
  name: 'hydra',
  async run(context, earlier) {
    const { spec, peers } = context;
    const { settings, cases, examined } = chooseCases(spec, earlier);
    if (cases.length < MIN_PROMPTS) return notTraced(examined.of);
    const request = {
      model: spec.model,
      cases: cases.map(({ prompt, features, setScore }) => ({
        prompt: encodePrompt(prompt),
        set: encodeFeatures(features),
        score: setScore,
      })),
      score: encodeScore(earlier.openers.score),
      candidates: encodeFeatures(earlier.candidates.features.map(({ feature }) => feature)),
      layers: [...earlier.describe.layers],
      positions: encodePositions(spec.positions),
      minEffect: settings.hydraMinEffect,
      level: settings.hydraLevel,
      maxTested: settings.hydraFeatures,
      maxRounds: settings.hydraRounds,
      nullDraws: settings.hydraNullDraws,
      seed: derivedSeed(spec.seed, 'hydra'),
    };
    const found = await drainCall<HydraReport>(context.call(), (known, options) =>
      peers.search.traceHydra({ ...request, known }, options),
    );
    return { examined, ...decodeHydra(found) };
  },
  summarize: ({ depth, tested, features, examined }) =>
    depth === null
      ? `not traced: ${examined.of} prompts have a set, and ${MIN_PROMPTS} are needed`
      : `${features.length} of ${tested} features that woke in two prompts or more hold up refusal once the sets are off, in ${depth} rounds`,
};

const notTraced = (withSet: number): Hydra => ({
  examined: { count: 0, of: withSet },
  depth: null,
  tested: 0,
  wokenByRound: [],
  features: [],
});
