/** Stage "candidates": the features a layer that lie nearest to that layer's direction, in the first step of the growth. */
import type { RankCandidatesResponse } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import { decodeFeature } from '../peers/from-wire.js';
import { encodeDirection } from '../peers/to-wire.js';
import type { Candidates } from '../report/report-type.js';
import type { Stage, StageContext } from './stage.js';
import type { DirectionVector, StageResults } from './stage-results.js';

export const candidatesStage: Stage<'candidates'> = {
  name: 'candidates',
  run: (context, earlier) => {
    const directions = directionsOf(earlier, earlier.describe.layers);
    return rankCandidates(context, directions, context.spec.growth[0] ?? 1);
  },
  summarize: ({ features, perLayer }) => `${features.length} candidates, ${perLayer} a layer`,
};

/** The best direction of each of these layers. */
export const directionsOf = (earlier: StageResults, layers: readonly number[]): DirectionVector[] => {
  const found = earlier.directions.bestByLayer.filter((direction) => layers.includes(direction.layer));
  if (found.length === 0) {
    throw fault('AUDIT_IMPOSSIBLE', `No direction was found at the layers that have an SAE (${layers.join(', ')}).`);
  }
  return found;
};

export const rankCandidates = async (
  { peers, signal }: StageContext,
  directions: readonly DirectionVector[],
  perLayer: number,
): Promise<Candidates> => {
  const request = { directions: directions.map(encodeDirection), countPerLayer: perLayer };
  const ranked: RankCandidatesResponse = await peers.search.rankCandidates(request, { signal });
  return {
    perLayer,
    features: ranked.candidates.map(({ feature, cosine }) => {
      const name = decodeFeature(feature);
      return { feature: name, layer: parseFeature(name).layer, cosine };
    }),
  };
};
