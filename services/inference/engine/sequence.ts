/** One prompt and its answer so far, with the keys and values of every position already run: the plain way through the model. */
import type { ModelSpec } from '../model/model-spec.js';
import type { LayerProof } from './apply-edits.js';
import { type BatchRow, CAUSAL, type FrozenPast } from './batch.js';
import type { LayerGroup } from './edit-bank.js';
import type { SequenceLandmarks } from './position-span.js';
import type { PromptInput } from './scored-prompt.js';

export class Sequence {
  readonly tokenIds: number[];
  readonly landmarks: SequenceLandmarks;
  /** Positions whose keys and values are kept. */
  done = 0;
  private readonly frozen: FrozenPast[];
  private readonly proofs = new Map<number, LayerProof & { edits: Set<number> }>();

  constructor(
    prompt: PromptInput,
    /** One byte an edit; undefined: all on. */
    private readonly mask: Uint8Array | undefined,
    private readonly spec: ModelSpec,
    readonly capacity: number,
  ) {
    this.tokenIds = [...prompt.tokenIds];
    this.landmarks = { instructionStart: prompt.instructionStart, promptLength: prompt.tokenIds.length };
    const size = spec.nKvHeads * capacity * spec.headDim;
    this.frozen = Array.from({ length: spec.nLayers }, () => ({
      keys: new Float32Array(size),
      values: new Float32Array(size),
      capacity,
    }));
  }

  isOn(group: LayerGroup): (edit: number) => boolean {
    const { mask } = this;
    return mask === undefined ? () => true : (edit) => mask[group.maskIndex[edit]] === 1;
  }

  /** The rows that were not run yet. */
  batchRow(): BatchRow {
    const count = this.tokenIds.length - this.done;
    return {
      start: this.done,
      count,
      positions: Int32Array.from({ length: this.tokenIds.length }, (_, i) => i),
      visibility: CAUSAL,
      past: (block) => this.frozen[block],
    };
  }

  /** Appends keys and values of `count` rows: row b of [B, Hkv, width, hd]. */
  append(block: number, b: number, width: number, count: number, keys: Float32Array, values: Float32Array): void {
    const { nKvHeads, headDim } = this.spec;
    const own = this.frozen[block];
    for (let head = 0; head < nKvHeads; head++) {
      const from = (b * nKvHeads + head) * width * headDim;
      const to = (head * this.capacity + this.done) * headDim;
      own.keys.set(keys.subarray(from, from + count * headDim), to);
      own.values.set(values.subarray(from, from + count * headDim), to);
    }
  }

  addProof(proof: LayerProof, edits: Iterable<number>): void {
    const before = this.proofs.get(proof.layer);
    const all = new Set([...(before?.edits ?? []), ...edits]);
    this.proofs.set(proof.layer, {
      layer: proof.layer,
      deltaNorm: Math.hypot(before?.deltaNorm ?? 0, proof.deltaNorm),
      residualNorm: Math.hypot(before?.residualNorm ?? 0, proof.residualNorm),
      activePairs: (before?.activePairs ?? 0) + proof.activePairs,
      activeEdits: all.size,
      edits: all,
    });
  }

  /** What the edits did on all positions so far, a layer each. */
  get proof(): LayerProof[] {
    return [...this.proofs.values()].map(({ edits: _, ...proof }) => proof).sort((a, b) => a.layer - b.layer);
  }
}
