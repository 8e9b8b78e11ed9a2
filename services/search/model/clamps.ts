/**
 * Edits that write a feature at a given value instead of switching it off, made from its ablation: the same read and write rows with
 * another target. What they write is exact wherever the ablation is.
 */
import { fault } from '../../../shared/errors/fault.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type Bank, createBank, type LayerEdits } from './bank.js';

export interface Clamp {
  /** Index of the feature's ablation in the bank. */
  readonly edit: number;
  /** Activation to write, 0 or more. */
  readonly value: number;
  readonly positions: Positions;
  /** Added to the feature's name. */
  readonly suffix: string;
}

/** A bank with one edit a clamp, and the place of each in it. Throws NOT_FINITE. */
export function createClamps(
  ablations: Bank,
  clamps: readonly Clamp[],
): { readonly bank: Bank; readonly on: readonly number[] } {
  const rows = ablations.layers.flatMap((layer) => layer.names.map((_, row) => ({ layer, row })));
  const parts = clamps.map(({ edit, value, positions, suffix }): LayerEdits => {
    const { layer, row } = rows[edit]!;
    const name = `${layer.names[row]}${suffix}`;
    if (!(Number.isFinite(value) && value >= 0))
      throw fault(
        'NOT_FINITE',
        `${name} was to be written at ${value}; an activation is a finite number of 0 or more.`,
      );
    const rowOf = ({ cols, data }: LayerEdits['read']) => ({
      rows: 1,
      cols,
      data: data.slice(row * cols, (row + 1) * cols),
    });
    return {
      layer: layer.layer,
      names: [name],
      read: rowOf(layer.read),
      bias: layer.bias.slice(row, row + 1),
      threshold: layer.threshold.slice(row, row + 1),
      write: rowOf(layer.write),
      target: Float32Array.of(value),
      positions,
    };
  });
  return { bank: createBank(parts), on: parts.map((_, i) => i) };
}

/** The second bank behind the first: its edit i is number `first.size + i`. */
export const joinBanks = (first: Bank, second: Bank): Bank => createBank([...first.layers, ...second.layers]);
