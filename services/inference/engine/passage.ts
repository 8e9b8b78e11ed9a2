/**
 * A state on its way through the blocks, and the evaluations that wait for what it will show. Passages at the same layer travel
 * together in one batch, whatever prompt, mask or caller they come from.
 */
import type { LayerGroup } from './edit-bank.js';
import type { PendingEvaluation } from './pending-evaluation.js';
import type { StateNode } from './state-node.js';

export class Passage {
  waiting: PendingEvaluation[] = [];

  constructor(
    readonly node: StateNode,
    /** The residual is the one after this block. */
    public layer: number,
    public residual: Float32Array,
  ) {}

  /** Positions that are computed. */
  get count(): number {
    return this.node.prompt.length - this.node.start;
  }

  /** Groups of edits at the present layer that an evaluation which waits must ask about, and whose changes here are not known. */
  unreadGroups(): LayerGroup[] {
    const groups = new Map<string, LayerGroup>();
    for (const pending of this.waiting) {
      // From a clean prompt every edit of the bank is asked about: later states need its changes for their frozen positions.
      const asked = this.node.isRoot ? pending.call.bank.groups : [pending.nextGroup()];
      for (const group of asked) {
        if (group?.layer === this.layer && !this.node.changes.has(group.key)) groups.set(group.key, group);
      }
    }
    return [...groups.values()];
  }

  /**
   * The next layer behind the present one at which some bank edits; Infinity if none does. A residual is kept at each stop, for whoever
   * comes from there later. `lean`: only where those that wait must ask something.
   */
  nextStop(lean: boolean): number {
    let next = Number.POSITIVE_INFINITY;
    for (const pending of this.waiting) {
      const asked = lean && !this.node.isRoot ? [pending.nextGroup()] : pending.call.bank.groups;
      for (const group of asked)
        if (group !== undefined && group.layer > this.layer) next = Math.min(next, group.layer);
    }
    return next;
  }
}
