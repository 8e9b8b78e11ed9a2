/** Stage "depth": from which layer on a flip is possible at all, over every layer that has an SAE (the late ones too, which tell on openers). */
import type { DepthProfile, DepthProfile_LayerFlips } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { DepthProfileFacts } from '../report/report-type.js';
import { directionsOf, rankCandidates } from './candidates.js';
import { searchPrompts } from './search-prompts.js';
import type { Stage } from './stage.js';

export const depthStage: Stage<'depth'> = {
  name: 'depth',
  async run(context, earlier) {
    const { spec, peers } = context;
    const layers = earlier.describe.saes.map((sae) => sae.layer);
    const perLayer = earlier.candidates.perLayer;
    const ranked = await rankCandidates(context, directionsOf(earlier, layers), perLayer);
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      candidates: encodeFeatures(ranked.features.map(({ feature }) => feature)),
      positions: encodePositions(spec.positions),
    };
    const profiles = await context.forEachPrompt(searchPrompts(spec, earlier), async (prompt, call) => {
      const profile = await drainCall<DepthProfile>(call, (known, options) =>
        peers.search.profileDepth({ ...request, prompts: [encodePrompt(prompt)], known }, options),
      );
      return profile.layers;
    });
    return { candidatesPerLayer: perLayer, layers: addUp(profiles) };
  },
  summarize: ({ layers }) =>
    `flips with one layer's candidates off: ${layers.map(({ layer, flipsAlone }) => `layer ${layer} ${flipsAlone.count} of ${flipsAlone.of}`).join(', ')}`,
};

/** One profile a prompt into one for all: counts add up, means are weighted by their totals. */
const addUp = (profiles: readonly (readonly DepthProfile_LayerFlips[])[]): DepthProfileFacts['layers'] => {
  const layers = [...new Set(profiles.flat().map(({ layer }) => layer))].sort((a, b) => a - b);
  return layers.map((layer) => {
    const rows = profiles.flat().filter((row) => row.layer === layer);
    const of = sum(rows.map((row) => row.total));
    const count = (pick: (row: DepthProfile_LayerFlips) => number) => ({ count: sum(rows.map(pick)), of });
    const mean = (pick: (row: DepthProfile_LayerFlips) => number) => sum(rows.map((row) => pick(row) * row.total)) / of;
    return {
      layer,
      flipsAlone: count((row) => row.flipsAlone),
      flipsUpTo: count((row) => row.flipsUpTo),
      flipsFrom: count((row) => row.flipsFrom),
      meanScoreAlone: mean((row) => row.meanScoreAlone),
      meanScoreUpTo: mean((row) => row.meanScoreUpTo),
      meanScoreFrom: mean((row) => row.meanScoreFrom),
    };
  });
};

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
