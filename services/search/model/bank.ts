/**
 * A bank: the ordered edits that masks choose from, each with an identity made from its own numbers. Two banks that hold the same
 * edit give it the same identity, so that an evaluation is recognised whatever bank it was asked through.
 */

import { createHash } from 'node:crypto';
import { fault } from '../../../shared/errors/fault.js';
import type { Matrix } from '../../../shared/tensors/matrix.js';
import { formatPositions, type Positions } from '../../../shared/tensors/positions.js';

export const EVERY_POSITION: Positions = { span: 'all', start: 0, end: 0, includeBos: true };

/** x' = x + sum_k (target_k - a_k) write_k, a = z (z > threshold), z = read x + bias; all rows of one layer. */
export interface LayerEdits {
  readonly layer: number;
  readonly names: readonly string[];
  /** [K, d_model] */
  readonly read: Matrix;
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  /** [K, d_model] */
  readonly write: Matrix;
  readonly target: Float32Array;
  readonly positions: Positions;
}

export interface Bank {
  readonly layers: readonly LayerEdits[];
  /** Edits in all, K. */
  readonly size: number;
  /** K names, layer by layer. */
  readonly names: readonly string[];
  /** K lower-case hex sha256. */
  readonly identities: readonly string[];
  /** Place of each edit when all are sorted by identity: an order that no bank's own order changes. */
  readonly rank: Int32Array;
}

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

const rowOf = ({ data, cols }: Matrix, row: number): Uint8Array => bytesOf(data.subarray(row * cols, (row + 1) * cols));

const identityOf = (edits: LayerEdits, row: number): string => {
  const scalars = Float32Array.of(edits.bias[row]!, edits.threshold[row]!, edits.target[row]!);
  return createHash('sha256')
    .update(`edit ${edits.layer} ${formatPositions(edits.positions)} ${edits.read.cols}\n`)
    .update(bytesOf(scalars))
    .update(rowOf(edits.read, row))
    .update(rowOf(edits.write, row))
    .digest('hex');
};

const assertShapes = (edits: LayerEdits): void => {
  const count = edits.names.length;
  const lengths = [edits.read.rows, edits.bias.length, edits.threshold.length, edits.write.rows, edits.target.length];
  if (lengths.every((length) => length === count)) return;
  const given = `read, bias, threshold, write and target have ${lengths.join(', ')} rows`;
  throw fault('SHAPE_MISMATCH', `The edits of layer ${edits.layer} have ${count} names, but ${given}.`);
};

/** @throws SHAPE_MISMATCH if a layer's parts differ in length. */
export function createBank(layers: readonly LayerEdits[]): Bank {
  for (const edits of layers) assertShapes(edits);
  const names = layers.flatMap((edits) => edits.names);
  const identities = layers.flatMap((edits) => edits.names.map((_, row) => identityOf(edits, row)));
  const sorted = identities.map((_, i) => i).sort((a, b) => (identities[a]! < identities[b]! ? -1 : 1));
  const rank = new Int32Array(identities.length);
  for (const [place, edit] of sorted.entries()) rank[edit] = place;
  return { layers, size: names.length, names, identities, rank };
}

export const EMPTY_BANK = createBank([]);

/** Index of each name in the bank. @throws FEATURE_UNKNOWN for a name that it lacks. */
export function indexEdits(bank: Bank, names: readonly string[]): number[] {
  const places = new Map(bank.names.map((name, i) => [name, i]));
  return names.map((name) => {
    const place = places.get(name);
    if (place === undefined) throw fault('FEATURE_UNKNOWN', `${name} is not among the ${bank.size} edits of the bank.`);
    return place;
  });
}
