/**
 * The model as sessions: embedding, one session a segment, the read of edits, the head. Owns the sessions and nothing of the
 * search: what goes in are packed batches, what comes out are arrays.
 */
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import {
  ATTENTION_BIAS,
  KEEP,
  keyOut,
  LOCAL_ATTENTION_BIAS,
  LOCAL_ROPE,
  POSITION_IDS,
  pastKey,
  pastValue,
  RESIDUAL,
  RESIDUAL_OUT,
  ROPE,
  valueOut,
} from '../graph/block-io.js';
import { buildHead, HEAD } from '../graph/head-graph.js';
import { buildRead, READ } from '../graph/read-graph.js';
import { ropeTable } from '../graph/rope-table.js';
import { buildSegment } from '../graph/segment-graph.js';
import type { WeightSink } from '../graph/weight-sink.js';
import type { ModelSpec, RopeSpec } from '../model/model-spec.js';
import { type Feed, OrtSession, type RuntimeOptions } from '../runtime/ort-session.js';
import type { Batch } from './batch.js';

export interface BlockOutput {
  /** [B, T, d], or [M, d] where `keep` was given. */
  readonly residual: Float32Array;
  /** [B, Hkv, T, hd] each; only if asked for. */
  readonly keys?: Float32Array;
  readonly values?: Float32Array;
}

export interface HeadOutput {
  /** [M, C] */
  readonly specialLogits: Float32Array;
  /** [M] log sum exp of all the other tokens' logits. */
  readonly restLse: Float32Array;
  /** [M, vocab], only if asked for. */
  readonly logits?: Float32Array;
}

interface RopeCache {
  positions: number;
  cos: Float32Array;
  sin: Float32Array;
}

export class Transformer {
  private readonly ropes = new Map<RopeSpec, RopeCache>();
  /** Token-blocks computed since the start: the measure of work that the engine saves. */
  tokenBlocks = 0;

  private constructor(
    readonly spec: ModelSpec,
    private readonly weights: TensorSource,
    private readonly blocks: readonly OrtSession[],
    private readonly reader: OrtSession,
    private readonly head: OrtSession,
  ) {}

  /** Builds and loads every session; one block is in JavaScript memory at a time. */
  static async create(
    spec: ModelSpec,
    weights: TensorSource,
    sink: WeightSink,
    options: RuntimeOptions,
    onProgress: (done: number, total: number) => void = () => {},
  ): Promise<Transformer> {
    const blocks: OrtSession[] = [];
    for (let layer = 0; layer < spec.nLayers; layer++) {
      blocks.push(await OrtSession.create(buildSegment(spec, sink, layer, layer), options));
      onProgress(layer + 1, spec.nLayers + 1);
    }
    const head = await OrtSession.create(buildHead(spec, sink), options);
    const reader = await OrtSession.create(buildRead(spec.dModel), options);
    onProgress(spec.nLayers + 1, spec.nLayers + 1);
    return new Transformer(spec, weights, blocks, reader, head);
  }

  /** Embedding rows [n, d] of token ids; read from the file when first used by the caller, so that no table is held. */
  embed(tokenIds: ArrayLike<number>): Float32Array {
    const { dModel, embeddingScale } = this.spec;
    const rows = new Float32Array(tokenIds.length * dModel);
    for (let i = 0; i < tokenIds.length; i++) {
      rows.set(this.weights.readFloat32('model.embed_tokens.weight', { start: tokenIds[i], count: 1 }), i * dModel);
    }
    if (embeddingScale !== 1) for (let i = 0; i < rows.length; i++) rows[i] *= embeddingScale;
    return rows;
  }

  /**
   * One block on a packed residual [B, T, d]. `keep` (flat rows) is used by the last block alone; without it that block gives all
   * rows.
   */
  async runBlock(
    block: number,
    batch: Batch,
    residual: Float32Array,
    options: { keep?: BigInt64Array; withKeys?: boolean } = {},
  ): Promise<BlockOutput> {
    const { nKvHeads, headDim, dModel, nLayers } = this.spec;
    const past = batch.packPast(block);
    const pastDims = [batch.size, nKvHeads, batch.past, headDim];
    const feeds: Record<string, Feed> = {
      [RESIDUAL]: { data: residual, dims: [batch.size, batch.width, dModel] },
      [POSITION_IDS]: { data: batch.positionIds, dims: [batch.size, batch.width] },
      [pastKey(block)]: { data: past.keys, dims: pastDims },
      [pastValue(block)]: { data: past.values, dims: pastDims },
      ...this.biasFeeds(block, batch),
      ...this.ropeFeeds(block, batch),
    };
    if (block === nLayers - 1) {
      const keep = options.keep ?? BigInt64Array.from({ length: batch.size * batch.width }, (_, i) => BigInt(i));
      feeds[KEEP] = { data: keep, dims: [keep.length] };
    }
    const names = options.withKeys ? [RESIDUAL_OUT, keyOut(block), valueOut(block)] : [RESIDUAL_OUT];
    const out = await this.blocks[block].run(feeds, names);
    this.tokenBlocks += batch.tokens;
    return { residual: out[RESIDUAL_OUT], keys: out[keyOut(block)], values: out[valueOut(block)] };
  }

  /** z = x R + b for rows [N, d] and K reads [K, d]; gives [N, K]. */
  async read(rows: Float32Array, read: Float32Array, bias: Float32Array): Promise<Float32Array> {
    const { dModel } = this.spec;
    const out = await this.reader.run(
      {
        [READ.rows]: { data: rows, dims: [rows.length / dModel, dModel] },
        [READ.read]: { data: read, dims: [bias.length, dModel] },
        [READ.bias]: { data: bias, dims: [bias.length] },
      },
      [READ.z],
    );
    return out[READ.z];
  }

  /** Final norm and output matrix on rows [M, d]; `special` holds C token ids a row. */
  async runHead(rows: Float32Array, special: BigInt64Array, withLogits = false): Promise<HeadOutput> {
    const m = rows.length / this.spec.dModel;
    const names = [HEAD.specialLogits, HEAD.restLse, ...(withLogits ? [HEAD.logits] : [])];
    const out = await this.head.run(
      {
        [HEAD.rows]: { data: rows, dims: [m, this.spec.dModel] },
        [HEAD.special]: { data: special, dims: [m, special.length / m] },
      },
      names,
    );
    return { specialLogits: out[HEAD.specialLogits], restLse: out[HEAD.restLse], logits: out[HEAD.logits] };
  }

  async close(): Promise<void> {
    for (const session of [...this.blocks, this.reader, this.head]) await session.close();
    this.weights.close();
  }

  private biasFeeds(block: number, batch: Batch): Record<string, Feed> {
    const dims = [batch.size, 1, 1, batch.width, batch.past + batch.width];
    return this.spec.isLocal[block]
      ? { [LOCAL_ATTENTION_BIAS]: { data: batch.localBias as Float32Array, dims } }
      : { [ATTENTION_BIAS]: { data: batch.bias, dims } };
  }

  private ropeFeeds(block: number, batch: Batch): Record<string, Feed> {
    const local = this.spec.isLocal[block] && this.spec.localRope !== undefined;
    const names = local ? LOCAL_ROPE : ROPE;
    const table = this.ropeUpTo(local ? (this.spec.localRope as RopeSpec) : this.spec.rope, batch.maxPosition);
    const dims = [table.positions, this.spec.headDim / 2];
    return { [names.cos]: { data: table.cos, dims }, [names.sin]: { data: table.sin, dims } };
  }

  /** Tables grow by doubling, so that short prompts never pay for the whole context. */
  private ropeUpTo(rope: RopeSpec, maxPosition: number): RopeCache {
    const known = this.ropes.get(rope);
    if (known !== undefined && known.positions > maxPosition) return known;
    const positions = Math.max(128, 2 ** Math.ceil(Math.log2(maxPosition + 1)));
    const table = { positions, ...ropeTable(rope, this.spec.headDim, positions) };
    this.ropes.set(rope, table);
    return table;
  }
}
