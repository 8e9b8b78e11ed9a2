/**
 * One prompt with the opener branches appended, and the keys and values of its clean run. Everything the engine knows of a prompt
 * hangs here, so that dropping it frees all of it.
 */
import { createHash } from 'node:crypto';
import type { ModelSpec } from '../model/model-spec.js';
import type { FrozenPast, Visibility } from './batch.js';
import type { OpenerTree } from './opener-tree.js';
import type { SequenceLandmarks } from './position-span.js';

export interface PromptInput extends SequenceLandmarks {
  readonly tokenIds: readonly number[];
}

export class ScoredPrompt {
  readonly key: string;
  readonly landmarks: SequenceLandmarks;
  /** Prompt tokens, then branch tokens. */
  readonly tokenIds: Int32Array;
  /** RoPE position of each. */
  readonly positions: Int32Array;
  readonly visibility: Visibility;
  private readonly frozen: (FrozenPast | undefined)[];

  constructor(
    input: PromptInput,
    readonly tree: OpenerTree,
    private readonly spec: ModelSpec,
  ) {
    const prompt = input.tokenIds;
    this.key = promptKey(input, tree);
    this.landmarks = { instructionStart: input.instructionStart, promptLength: prompt.length };
    this.tokenIds = Int32Array.from([...prompt, ...tree.branchTokens]);
    const branchPositions = tree.branchDepths.map((depth) => prompt.length - 1 + depth);
    this.positions = Int32Array.from([...prompt.keys(), ...branchPositions]);
    const branches = tree.branchAncestry.map((path) => path.map((branch) => prompt.length + branch));
    this.visibility = { trunk: prompt.length, branches };
    this.frozen = new Array(spec.nLayers);
  }

  /** All positions: prompt and branches. */
  get length(): number {
    return this.tokenIds.length;
  }

  /** Index of each inner node of the opener tree among the positions, in node order. */
  get scoredPositions(): number[] {
    return Array.from({ length: this.tree.nodeCount }, (_, node) => this.landmarks.promptLength - 1 + node);
  }

  /** Keeps keys and values [Hkv, length, hd] of the clean run at one block. */
  freeze(block: number, keys: Float32Array, values: Float32Array): void {
    this.frozen[block] = { keys, values, capacity: this.length };
  }

  past(block: number): FrozenPast {
    return this.frozen[block] as FrozenPast;
  }

  isFrozen(block: number): boolean {
    return this.frozen[block] !== undefined;
  }

  /** Bytes of frozen keys and values, once the clean run is done. */
  get frozenBytes(): number {
    return 2 * 4 * this.spec.nLayers * this.spec.nKvHeads * this.length * this.spec.headDim;
  }
}

/** Content address of a prompt under a score. */
export function promptKey(input: PromptInput, tree: OpenerTree): string {
  const { openers, firstTokenIds, iTokenId } = tree.spec;
  const content = [input.tokenIds, input.instructionStart, openers, firstTokenIds, iTokenId];
  return createHash('sha256').update(JSON.stringify(content)).digest('base64url');
}
