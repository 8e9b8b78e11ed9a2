/**
 * Every state that is kept, under one byte budget. Least recently used leaves go first, so that what many states grow from stays
 * longest; states in use never go, and the budget may be exceeded for as long as they are.
 */
import { applyChanges, type Change } from './apply-edits.js';
import type { LayerGroup } from './edit-bank.js';
import type { ScoredPrompt } from './scored-prompt.js';
import { StateNode } from './state-node.js';

export class StateCache {
  private readonly roots = new Map<string, StateNode>();
  /** Insertion order is order of use, oldest first; the value is the bytes counted for the node. */
  private readonly used = new Map<StateNode, number>();
  private total = 0;

  constructor(
    private readonly maxBytes: number,
    private readonly dModel: number,
  ) {}

  get bytes(): number {
    return this.total;
  }

  /** After `evict`: the states in use are more than the budget. */
  get isOverBudget(): boolean {
    return this.total > this.maxBytes;
  }

  get states(): number {
    return this.used.size;
  }

  /** The clean state of a prompt; `make` gives the prompt and its embedding where it is new. */
  root(key: string, make: () => { prompt: ScoredPrompt; embedding: Float32Array }): StateNode {
    const known = this.roots.get(key);
    if (known !== undefined) return known;
    const { prompt, embedding } = make();
    const node = new StateNode(prompt, undefined, key, -1, 0, []);
    node.residuals.set(-1, embedding);
    this.roots.set(key, node);
    this.touch(node);
    return node;
  }

  /** The state that `changes` (not empty) of a group lead to from `node`; computed by the edit primitive where it is new. */
  child(node: StateNode, group: LayerGroup, changes: readonly Change[]): StateNode {
    const key = changes.map(({ edit }) => group.ids[edit]).join();
    const known = node.children.get(key);
    if (known !== undefined) return known;
    const first = Math.min(...changes.map(({ positions }) => positions[0]));
    const start = node.isRoot ? first : Math.min(node.start, first);
    const residual = residualFrom(node, group.layer, start, this.dModel);
    const proof = applyChanges(group, changes, residual, start, this.dModel);
    const child = new StateNode(node.prompt, node, key, group.layer, start, [...node.proof, proof]);
    child.residuals.set(group.layer, residual);
    node.children.set(key, child);
    this.touch(child);
    return child;
  }

  /** Marks a node as just used and counts its bytes anew. */
  touch(node: StateNode): void {
    const bytes = node.bytes;
    this.total += bytes - (this.used.get(node) ?? 0);
    this.used.delete(node);
    this.used.set(node, bytes);
  }

  /** Drops least recently used leaves that nobody uses until the budget is kept or none is left. */
  evict(): void {
    // A state becomes a leaf when its last child goes, so that one pass may not be enough.
    while (this.total > this.maxBytes && this.dropLeaves());
  }

  /** One pass, oldest first; whether anything went. */
  private dropLeaves(): boolean {
    const before = this.used.size;
    for (const [node, bytes] of this.used) {
      if (this.total <= this.maxBytes) break;
      if (node.users > 0 || node.children.size > 0) continue;
      this.used.delete(node);
      this.total -= bytes;
      if (node.parent === undefined) this.roots.delete(node.key);
      else node.parent.children.delete(node.key);
    }
    return this.used.size < before;
  }

  clear(): void {
    this.roots.clear();
    this.used.clear();
    this.total = 0;
  }
}

/** A copy of the rows from position `start` on at `layer`: the state's own, and the clean prompt's before them. */
function residualFrom(node: StateNode, layer: number, start: number, dModel: number): Float32Array {
  const own = node.residuals.get(layer) as Float32Array;
  if (start >= node.start) return own.slice((start - node.start) * dModel);
  const clean = node.root.residuals.get(layer) as Float32Array;
  const joined = new Float32Array((node.start - start) * dModel + own.length);
  joined.set(clean.subarray(start * dModel, node.start * dModel));
  joined.set(own, (node.start - start) * dModel);
  return joined;
}
