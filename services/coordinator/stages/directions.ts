/** Stage "directions": difference-of-means directions at every layer and position, scored, one selected, one best a layer. */
import type { DirectionSearch } from '../../../proto/gen/refusalscope/v1/search.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeDirection, decodeDirections, present } from '../peers/from-wire.js';
import { encodeLabelledPrompt, encodeScore } from '../peers/to-wire.js';
import type { Stage } from './stage.js';

export const directionsStage: Stage<'directions'> = {
  name: 'directions',
  async run(context, { openers }) {
    const { spec, peers } = context;
    const request = {
      model: spec.model,
      prompts: spec.prompts.map(encodeLabelledPrompt),
      score: encodeScore(openers.score),
      seed: spec.seed,
    };
    const found = await drainCall<DirectionSearch>(context.call(), (known, options) =>
      peers.search.findDirections({ ...request, known }, options),
    );
    const vectorAt = (index: number) => decodeDirection(present(found.directions[index], 'a direction').direction);
    const selected = found.selected === undefined ? null : vectorAt(found.selected);
    if (selected === null) {
      context.warn(
        'NO_DIRECTION',
        'No direction passed the filters (layer, KL, induce); the best one a layer is still used.',
      );
    }
    return {
      facts: decodeDirections(found),
      bestByLayer: found.bestByLayer.map(vectorAt).sort((a, b) => a.layer - b.layer),
      selected,
    };
  },
  summarize: ({ facts, selected }) =>
    `${facts.tried.length} directions tried; ` +
    (selected === null ? 'none selected' : `selected: layer ${selected.layer}, position ${selected.position}`),
};
