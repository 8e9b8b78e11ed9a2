/** One evaluation on its way: the state it has reached and the next group of edits it must ask about. */
import type { LayerProof } from './apply-edits.js';
import type { EditBank, LayerGroup } from './edit-bank.js';
import type { OpenerTree, RefusalScores } from './opener-tree.js';
import type { PromptInput } from './scored-prompt.js';
import type { StateNode } from './state-node.js';

/** A mask is one byte an edit of the bank: 1 = on. */
export interface EvaluationInput {
  readonly prompt: number;
  readonly mask: Uint8Array;
}

export interface EvaluationOutput extends RefusalScores {
  /** Index into the call's evaluations. */
  readonly index: number;
  readonly proof: readonly LayerProof[];
  /** False: nothing that was on changed anything; the scores are those of the clean prompt. */
  readonly acted: boolean;
  readonly firstTokenKl?: number;
  /** Positions x blocks that were computed for it: 0 if all of it was known. */
  readonly tokenBlocks: number;
}

export interface EvaluationCall {
  readonly prompts: readonly PromptInput[];
  readonly bank: EditBank;
  readonly tree: OpenerTree;
  readonly evaluations: readonly EvaluationInput[];
  readonly firstTokenKl: boolean;
  readonly onResults: (results: EvaluationOutput[]) => void;
  /** Told of the calls that a batch of this one joined, each once. */
  readonly onMet?: (others: readonly EvaluationCall[]) => void;
  readonly signal: AbortSignal;
}

export class PendingEvaluation {
  tokenBlocks = 0;
  /** Index into the bank's groups. */
  private group = 0;

  constructor(
    readonly call: EvaluationCall,
    readonly index: number,
    public node: StateNode,
  ) {
    node.users++;
  }

  private get mask(): Uint8Array {
    return this.call.evaluations[this.index].mask;
  }

  isOn(group: LayerGroup): (edit: number) => boolean {
    return (edit) => this.mask[group.maskIndex[edit]] === 1;
  }

  /** The next group with an edit that is on; undefined once all are settled. */
  nextGroup(): LayerGroup | undefined {
    const { groups } = this.call.bank;
    while (this.group < groups.length && !groups[this.group].maskIndex.some((bit) => this.mask[bit] === 1))
      this.group++;
    return groups[this.group];
  }

  /** The present group is settled; its edits led to `node`. */
  settle(node: StateNode): void {
    this.group++;
    this.node.users--;
    this.node = node;
    node.users++;
  }

  /** No longer stands anywhere: finished or cancelled. */
  leave(): void {
    this.node.users--;
  }

  output(): EvaluationOutput {
    const { outcome, proof, firstTokenKl } = this.node;
    if (outcome === undefined) throw new Error('an evaluation was read before its state was scored');
    return {
      index: this.index,
      refusalScore: outcome.refusalScore,
      firstTokenScore: outcome.firstTokenScore,
      pI: outcome.pI,
      proof,
      acted: proof.length > 0,
      ...(this.call.firstTokenKl ? { firstTokenKl } : {}),
      tokenBlocks: this.tokenBlocks,
    };
  }
}
