/** SAE activations of one prompt at the positions that edits touch, on the clean model or with edits on. */

import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import type { Bank } from './bank.js';
import { editedPositions } from './edited-positions.js';
import type { PreparedPrompt } from './evaluator.js';
import type { SearchContext } from './scoring.js';

export interface PeakActivation extends FeatureId {
  /** Largest activation over the positions, above 0, and where it stands. */
  readonly value: number;
  readonly position: number;
}

export interface ActivationRequest {
  readonly prompt: Pick<PreparedPrompt, 'prompt' | 'tokens'>;
  readonly positions: Positions;
  /** Features of each layer; undefined means all of that layer's SAE. */
  readonly layers: ReadonlyMap<number, readonly number[] | undefined>;
  readonly edits?: { readonly bank: Bank; readonly on: readonly number[] };
}

export interface Activations {
  /** By feature name; features that are zero at every position are absent. */
  readonly peaks: ReadonlyMap<string, PeakActivation>;
  /** By layer: root mean square of the residual's norm over the positions. */
  readonly residualNorms: ReadonlyMap<number, number>;
}

/** The SAE service takes at most so many residuals a request. */
const ROWS_A_REQUEST = 4096;

/** Costs one forward pass of the prompt; no evaluation. Residuals are those after each layer's own edits. */
export async function readActivations(context: SearchContext, request: ActivationRequest): Promise<Activations> {
  const positions = editedPositions(request.positions, request.prompt.tokens);
  const peaks = new Map<string, PeakActivation>();
  const residualNorms = new Map<number, number>();
  if (positions.length === 0 || request.layers.size === 0) return { peaks, residualNorms };
  const layers = [...request.layers.keys()].sort((a, b) => a - b);
  const capture = {
    prompts: [request.prompt.prompt],
    layers,
    positions,
    ...(request.edits && { edits: request.edits }),
  };
  for await (const captured of context.model.capture(capture, context.signal)) {
    for (const layer of layers) {
      const residual = captured.residuals.get(layer);
      if (residual === undefined) throw fault('INTERNAL', `Inference left layer ${layer} out of a capture.`);
      residualNorms.set(layer, rootMeanSquareNorm(residual));
      await collectPeaks(context, layer, residual, request.layers.get(layer), captured.positions, peaks);
    }
  }
  return { peaks, residualNorms };
}

async function collectPeaks(
  context: SearchContext,
  layer: number,
  residual: Matrix,
  features: readonly number[] | undefined,
  positions: readonly number[],
  peaks: Map<string, PeakActivation>,
): Promise<void> {
  for (let start = 0; start < residual.rows; start += ROWS_A_REQUEST) {
    const rows = Math.min(ROWS_A_REQUEST, residual.rows - start);
    const data = residual.data.subarray(start * residual.cols, (start + rows) * residual.cols);
    const sparse = await context.saes.encode(layer, { rows, cols: residual.cols, data }, features, context.signal);
    for (const [row, { indices, values }] of sparse.entries()) {
      for (const [i, index] of indices.entries()) {
        const name = formatFeature({ layer, index });
        if ((peaks.get(name)?.value ?? 0) >= values[i]!) continue;
        peaks.set(name, { layer, index, value: values[i]!, position: positions[start + row]! });
      }
    }
  }
}

function rootMeanSquareNorm({ rows, data }: Matrix): number {
  let sum = 0;
  for (const value of data) sum += value * value;
  return Math.sqrt(sum / rows);
}

/** Features by layer, as `readActivations` takes them. */
export function groupByLayer(features: readonly FeatureId[]): Map<number, number[]> {
  const layers = new Map<number, number[]>();
  for (const { layer, index } of features) {
    const indices = layers.get(layer);
    if (indices === undefined) layers.set(layer, [index]);
    else indices.push(index);
  }
  for (const indices of layers.values()) indices.sort((a, b) => a - b);
  return layers;
}
