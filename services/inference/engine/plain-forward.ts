/**
 * All positions of several sequences through all blocks, edits applied on the way: what generation, capture and cross-entropy
 * stand on. It shares the sessions with the evaluator but none of its shortcuts, so that each can check the other.
 */
import { applyChanges, findChanges } from './apply-edits.js';
import { Batch } from './batch.js';
import type { EditBank, LayerGroup } from './edit-bank.js';
import type { Sequence } from './sequence.js';
import type { Transformer } from './transformer.js';

/** Called with the rows [count, d] of a sequence after the edits of a layer; the array is only valid during the call. */
export type ResidualListener = (layer: number, sequence: number, rows: Float32Array) => void;

/** Runs every token that is not run yet; gives the final residual rows [count, d] of each sequence. */
export async function plainForward(
  transformer: Transformer,
  sequences: readonly Sequence[],
  bank: EditBank | undefined,
  onResidual?: ResidualListener,
): Promise<Float32Array[]> {
  const { spec } = transformer;
  const batch = new Batch(
    spec,
    sequences.map((sequence) => sequence.batchRow()),
  );
  const fresh = sequences.map(({ tokenIds, done }) => transformer.embed(tokenIds.slice(done)));
  let packed = batch.pack(fresh);
  for (let block = 0; block < spec.nLayers; block++) {
    const out = await transformer.runBlock(block, batch, packed, { withKeys: true });
    packed = out.residual;
    sequences.forEach((sequence, b) => {
      const { count } = batch.rows[b];
      sequence.append(block, b, batch.width, count, out.keys as Float32Array, out.values as Float32Array);
    });
    const group = bank?.groups.find(({ layer }) => layer === block);
    if (group !== undefined) await editRows(transformer, batch, packed, sequences, group);
    if (onResidual !== undefined) {
      for (let b = 0; b < sequences.length; b++) onResidual(block, b, rowsOf(batch, packed, b, spec.dModel));
    }
  }
  for (const sequence of sequences) sequence.done = sequence.tokenIds.length;
  return sequences.map((_, b) => batch.unpack(packed, b));
}

async function editRows(
  transformer: Transformer,
  batch: Batch,
  packed: Float32Array,
  sequences: readonly Sequence[],
  group: LayerGroup,
): Promise<void> {
  const { dModel } = transformer.spec;
  const z = await transformer.read(packed, group.read, group.bias);
  sequences.forEach((sequence, b) => {
    const { start, count } = batch.rows[b];
    const from = b * batch.width * group.count;
    const own = z.subarray(from, from + count * group.count);
    const isOn = sequence.isOn(group);
    const changes = findChanges(group, own, start, sequence.landmarks).filter(({ edit }) => isOn(edit));
    if (changes.length === 0) return;
    const proof = applyChanges(group, changes, rowsOf(batch, packed, b, dModel), start, dModel);
    sequence.addProof(
      proof,
      changes.map(({ edit }) => edit),
    );
  });
}

/** A view of the rows of sequence b. */
const rowsOf = (batch: Batch, packed: Float32Array, b: number, dModel: number): Float32Array => {
  const from = b * batch.width * dModel;
  return packed.subarray(from, from + batch.rows[b].count * dModel);
};
