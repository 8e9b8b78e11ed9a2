/** Stage 1b: the features of each layer whose decoder rows point most along that layer's direction. */
import { fault } from '../../../shared/errors/fault.js';
import type { RankedFeature } from '../model/sae-port.js';
import type { SearchContext } from '../model/scoring.js';

export interface LayerDirection {
  readonly layer: number;
  readonly vector: Float32Array;
}

export const MAX_CANDIDATES_A_LAYER = 65_536;

/** By layer ascending, then by decreasing cosine. A layer with fewer features than asked for gives them all. */
export async function rankCandidates(
  context: Pick<SearchContext, 'saes' | 'signal'>,
  directions: readonly LayerDirection[],
  countPerLayer: number,
): Promise<RankedFeature[]> {
  assertDirections(directions);
  if (!Number.isInteger(countPerLayer) || countPerLayer < 1 || countPerLayer > MAX_CANDIDATES_A_LAYER)
    throw fault(
      'REQUEST_INVALID',
      `${countPerLayer} candidates a layer were asked for; 1 to ${MAX_CANDIDATES_A_LAYER} are allowed.`,
    );
  const shapes = new Map((await context.saes.list(context.signal)).map((shape) => [shape.layer, shape]));
  const ranked: RankedFeature[] = [];
  for (const { layer, vector } of [...directions].sort((a, b) => a.layer - b.layer)) {
    const shape = shapes.get(layer);
    if (shape === undefined) {
      const have = [...shapes.keys()].sort((a, b) => a - b).join(', ');
      throw fault('SAE_UNKNOWN', `Layer ${layer} has no SAE; there are SAEs for layers ${have || 'none'}.`);
    }
    ranked.push(...(await context.saes.nearest(layer, vector, Math.min(countPerLayer, shape.dSae), context.signal)));
  }
  return ranked;
}

export function assertDirections(directions: readonly LayerDirection[]): void {
  if (directions.length === 0) throw fault('REQUEST_INVALID', 'The request has no directions; one a layer is needed.');
  const layers = new Set<number>();
  for (const { layer, vector } of directions) {
    if (layers.has(layer)) throw fault('REQUEST_INVALID', `Layer ${layer} has two directions; one a layer is needed.`);
    layers.add(layer);
    if (vector.every((value) => value === 0))
      throw fault('REQUEST_INVALID', `The direction of layer ${layer} is the zero vector, which points nowhere.`);
  }
}
