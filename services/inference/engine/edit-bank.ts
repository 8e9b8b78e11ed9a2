/**
 * A bank of edits in the form the engine runs: one group a layer, ascending, whatever the order in which the caller listed them.
 * Owns the identity of an edit: two edits with equal numbers and positions are the same edit, whichever bank they came in, so that
 * states computed for one bank serve the next.
 */
import { createHash } from 'node:crypto';
import type { Positions } from '../../../shared/tensors/positions.js';

/** K edits on the output of one block; design.md gives the formula. */
export interface LayerEditsInput {
  readonly layer: number;
  /** R transposed, [K, d]. */
  readonly read: Float32Array;
  /** [K] each. */
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  readonly target: Float32Array;
  /** [K, d] */
  readonly write: Float32Array;
  readonly positions: Positions;
}

/** Every edit of a bank on one layer. */
export interface LayerGroup {
  readonly layer: number;
  /** K */
  readonly count: number;
  readonly read: Float32Array;
  readonly bias: Float32Array;
  readonly threshold: Float32Array;
  readonly target: Float32Array;
  readonly write: Float32Array;
  readonly positions: readonly Positions[];
  /** Identity of each edit. */
  readonly ids: readonly string[];
  /** Number of each edit in the caller's order: its bit in a mask. */
  readonly maskIndex: readonly number[];
  /** Identity of the group. */
  readonly key: string;
}

export interface EditBank {
  readonly digest: string;
  /** Edits in all: bits of a mask. */
  readonly size: number;
  readonly groups: readonly LayerGroup[];
}

export function createEditBank(layers: readonly LayerEditsInput[], dModel: number): EditBank {
  const byLayer = new Map<number, { input: LayerEditsInput; first: number }[]>();
  let size = 0;
  for (const input of layers) {
    const group = byLayer.get(input.layer) ?? [];
    group.push({ input, first: size });
    byLayer.set(input.layer, group);
    size += input.bias.length;
  }
  const groups = [...byLayer].sort(([a], [b]) => a - b).map(([layer, parts]) => createGroup(layer, parts, dModel));
  const hash = createHash('sha256');
  for (const { input } of [...byLayer.values()].flat()) hashEdits(hash, input);
  return { digest: hash.digest('hex'), size, groups };
}

function createGroup(
  layer: number,
  parts: readonly { input: LayerEditsInput; first: number }[],
  dModel: number,
): LayerGroup {
  const count = parts.reduce((sum, { input }) => sum + input.bias.length, 0);
  const join = (pick: (input: LayerEditsInput) => Float32Array, width: number): Float32Array => {
    if (parts.length === 1) return pick(parts[0].input);
    const joined = new Float32Array(count * width);
    let at = 0;
    for (const { input } of parts) {
      joined.set(pick(input), at);
      at += pick(input).length;
    }
    return joined;
  };
  const ids = parts.flatMap(({ input }) => Array.from(input.bias, (_, k) => editId(input, k, dModel)));
  return {
    layer,
    count,
    read: join((input) => input.read, dModel),
    bias: join((input) => input.bias, 1),
    threshold: join((input) => input.threshold, 1),
    target: join((input) => input.target, 1),
    write: join((input) => input.write, dModel),
    positions: parts.flatMap(({ input }) => Array.from(input.bias, () => input.positions)),
    ids,
    maskIndex: parts.flatMap(({ input, first }) => Array.from(input.bias, (_, k) => first + k)),
    key: createHash('sha256').update(ids.join()).digest('base64url'),
  };
}

const bytesOf = (array: Float32Array): Uint8Array => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

/** 96 bits of sha256: far beyond any chance of two edits meeting. */
function editId(input: LayerEditsInput, k: number, dModel: number): string {
  const row = (matrix: Float32Array) => bytesOf(matrix.subarray(k * dModel, (k + 1) * dModel));
  const scalars = Float32Array.of(input.bias[k], input.threshold[k], input.target[k]);
  return createHash('sha256')
    .update(JSON.stringify([input.layer, input.positions]))
    .update(bytesOf(scalars))
    .update(row(input.read))
    .update(row(input.write))
    .digest('base64url')
    .slice(0, 16);
}

function hashEdits(hash: ReturnType<typeof createHash>, input: LayerEditsInput): void {
  hash.update(JSON.stringify([input.layer, input.positions, input.bias.length]));
  for (const part of [input.read, input.bias, input.threshold, input.target, input.write]) hash.update(bytesOf(part));
}
