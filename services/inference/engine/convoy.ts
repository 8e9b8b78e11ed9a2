/**
 * Runs passages that stand at one layer through blocks, together, up to the next layer where one of them must stop. The residual
 * stays packed between blocks, and the last block gives only the rows that are scored.
 */
import type { ModelSpec } from '../model/model-spec.js';
import { Batch, type BatchRow } from './batch.js';
import type { Passage } from './passage.js';
import type { Transformer } from './transformer.js';

/** Passages whose scored rows [nodeCount, d] came out of the last block. */
export interface Finished {
  readonly passage: Passage;
  /** Rows of the scored positions from the state's start on, in node order. */
  readonly rows: Float32Array;
}

const batchRow = ({ node, count }: Passage): BatchRow => ({
  start: node.start,
  count,
  positions: node.prompt.positions,
  visibility: node.prompt.visibility,
  past: (block) => node.prompt.past(block),
});

/**
 * Either every passage has moved to the stop (`finished` is empty), or all of them are through the last block.
 * @param lean no stops for what may be asked later: memory is short
 */
export async function runConvoy(
  transformer: Transformer,
  passages: readonly Passage[],
  lean = false,
): Promise<Finished[]> {
  const last = transformer.spec.nLayers - 1;
  const batch = new Batch(transformer.spec, passages.map(batchRow));
  const stop = Math.min(...passages.map((passage) => passage.nextStop(lean)));
  const to = Math.min(stop, last);
  const scoredOnly = stop > last;
  let packed = batch.pack(passages.map((passage) => passage.residual));
  for (let block = passages[0].layer + 1; block <= to; block++) {
    const keep = block === last && scoredOnly ? scoredRows(batch, passages) : undefined;
    const withKeys = passages.some(({ node }) => node.isRoot && !node.prompt.isFrozen(block));
    const out = await transformer.runBlock(block, batch, packed, { keep, withKeys });
    packed = out.residual;
    if (withKeys) freeze(transformer, batch, passages, block, out.keys as Float32Array, out.values as Float32Array);
  }
  chargeWork(passages, to - passages[0].layer);
  if (scoredOnly) return splitRows(passages, packed, transformer.spec.dModel);
  passages.forEach((passage, b) => {
    passage.layer = to;
    passage.residual = batch.unpack(packed, b);
    passage.node.residuals.set(to, passage.residual);
  });
  return [];
}

/** Scored positions that a state computes itself: those before its start are the clean prompt's. */
export const ownScoredPositions = ({ node }: Passage): number[] =>
  node.prompt.scoredPositions.filter((position) => position >= node.start);

function scoredRows(batch: Batch, passages: readonly Passage[]): BigInt64Array {
  const flat = passages.flatMap((passage, b) =>
    ownScoredPositions(passage).map((position) => BigInt(b * batch.width + position - passage.node.start)),
  );
  return BigInt64Array.from(flat);
}

function splitRows(passages: readonly Passage[], packed: Float32Array, dModel: number): Finished[] {
  let at = 0;
  return passages.map((passage) => {
    const length = ownScoredPositions(passage).length * dModel;
    at += length;
    return { passage, rows: packed.subarray(at - length, at) };
  });
}

/** Keeps the keys and values of clean runs: [B, Hkv, T, hd] -> [Hkv, count, hd] each. */
function freeze(
  transformer: Transformer,
  batch: Batch,
  passages: readonly Passage[],
  block: number,
  keys: Float32Array,
  values: Float32Array,
): void {
  passages.forEach(({ node, count }, b) => {
    if (!node.isRoot || node.prompt.isFrozen(block)) return;
    const own = (packed: Float32Array) => withoutPadding(packed, b, batch.width, count, transformer.spec);
    node.prompt.freeze(block, own(keys), own(values));
  });
}

/** Sequence b of [B, Hkv, width, hd] as [Hkv, count, hd]. */
function withoutPadding(packed: Float32Array, b: number, width: number, count: number, spec: ModelSpec): Float32Array {
  const { nKvHeads, headDim } = spec;
  const own = new Float32Array(nKvHeads * count * headDim);
  for (let head = 0; head < nKvHeads; head++) {
    const from = (b * nKvHeads + head) * width * headDim;
    own.set(packed.subarray(from, from + count * headDim), head * count * headDim);
  }
  return own;
}

/** Work is counted for the evaluation that a passage was started for. */
function chargeWork(passages: readonly Passage[], blocks: number): void {
  for (const passage of passages)
    if (passage.waiting.length > 0) passage.waiting[0].tokenBlocks += passage.count * blocks;
}
