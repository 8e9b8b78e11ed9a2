/**
 * A state of the model on one prompt: what the residual stream became after a given sequence of edits that really changed
 * something. States form a tree (the root is the clean prompt); two masks that differ only in edits that change nothing lead to
 * the same state, and nothing behind a state is ever computed twice while it is kept.
 */
import type { Change, LayerProof } from './apply-edits.js';
import type { LayerGroup } from './edit-bank.js';
import type { NodeMass, RefusalScores } from './opener-tree.js';
import type { ScoredPrompt } from './scored-prompt.js';

/** What a state's answer opens with. */
export interface Outcome extends RefusalScores {
  /** By inner node of the opener tree. */
  readonly mass: readonly NodeMass[];
}

export class StateNode {
  readonly children = new Map<string, StateNode>();
  /** Changes that each group of edits would make here, by group key: those at positions >= start. */
  readonly changes = new Map<string, readonly Change[]>();
  /** Residuals [length - start, d] by layer: after the edits of `layer` itself, before the edits of later ones. */
  readonly residuals = new Map<number, Float32Array>();
  outcome: Outcome | undefined;
  /** KL(clean || this state) of the first answer token in nats, once asked for. */
  firstTokenKl: number | undefined;
  /** Evaluations and passages that stand here: a node in use is not evicted. */
  users = 0;

  constructor(
    readonly prompt: ScoredPrompt,
    readonly parent: StateNode | undefined,
    /** Key under which the parent holds it. */
    readonly key: string,
    /** The layer whose edits made it; -1 for the root, whose residual is the embedding. */
    readonly layer: number,
    /** First position that differs from the clean prompt; 0 for the root, which holds them all. */
    readonly start: number,
    /** What the edits on the way here did, a layer each. */
    readonly proof: readonly LayerProof[],
  ) {}

  get root(): StateNode {
    return this.parent === undefined ? this : this.parent.root;
  }

  get isRoot(): boolean {
    return this.parent === undefined;
  }

  get bytes(): number {
    let bytes = this.isRoot ? this.prompt.frozenBytes : 0;
    for (const residual of this.residuals.values()) bytes += residual.byteLength;
    return bytes;
  }

  /** The deepest layer <= limit at which a residual is kept. */
  deepestResidual(limit: number): number {
    let deepest = Number.NEGATIVE_INFINITY;
    for (const layer of this.residuals.keys()) if (layer <= limit && layer > deepest) deepest = layer;
    return deepest;
  }

  /**
   * The edits of a group that are on and would change something here, at any position. Positions before `start` are those of the
   * clean prompt, so the root's changes hold there.
   */
  effectiveChanges(group: LayerGroup, isOn: (edit: number) => boolean): Change[] {
    const own = (this.changes.get(group.key) as readonly Change[]).filter(({ edit }) => isOn(edit));
    if (this.start === 0) return own;
    const before = (this.root.changes.get(group.key) as readonly Change[])
      .filter(({ edit, positions }) => isOn(edit) && positions[0] < this.start)
      .map((change) => cutBefore(change, this.start));
    return before.length === 0 ? own : mergeByEdit([...before, ...own]);
  }
}

function cutBefore({ edit, positions, moves }: Change, end: number): Change {
  const count = positions.findIndex((position) => position >= end);
  const keep = count === -1 ? positions.length : count;
  return { edit, positions: positions.slice(0, keep), moves: moves.slice(0, keep) };
}

/** One change an edit, positions ascending; the input lists earlier positions first. */
function mergeByEdit(changes: readonly Change[]): Change[] {
  const byEdit = new Map<number, Change>();
  for (const change of changes) {
    const known = byEdit.get(change.edit);
    byEdit.set(
      change.edit,
      known === undefined
        ? change
        : {
            edit: change.edit,
            positions: [...known.positions, ...change.positions],
            moves: [...known.moves, ...change.moves],
          },
    );
  }
  return [...byEdit.values()].sort((a, b) => a.edit - b.edit);
}
