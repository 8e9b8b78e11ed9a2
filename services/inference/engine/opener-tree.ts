/**
 * The refusal score from one pass: openers as a prefix tree whose inner nodes are appended to the prompt as branches, so that one
 * run of the model scores all openers. Everything is added in log space from logits, with log(1 - p) summed from the mass that
 * leaves the tree, never from 1 - p (design.md, "refusal score").
 */

export interface ScoreSpec {
  /** Token sequences, 1 to 4 tokens each. */
  readonly openers: readonly (readonly number[])[];
  readonly firstTokenIds: readonly number[];
  readonly iTokenId: number;
}

/** An inner node: the root (no token), or a token sequence that some opener goes on from. */
interface TreeNode {
  readonly token: number;
  readonly parent: number;
  /** Tokens from the root, 0 for the root itself. */
  readonly depth: number;
  /** Token -> inner node it leads to, or LEAF. */
  readonly children: Map<number, number>;
}

const LEAF = -1;

/** Log-probability of each special token of a node, and of all the others together. */
export interface NodeMass {
  readonly special: ReadonlyMap<number, number>;
  readonly rest: number;
}

export interface RefusalScores {
  readonly refusalScore: number;
  readonly firstTokenScore: number;
  readonly pI: number;
}

/** p(R) is kept within [1e-12, 1 - 1e-12], as the golden values do. */
const LOG_FLOOR = Math.log(1e-12);

export class OpenerTree {
  /** Node 0 is the root: the last position of the prompt. The others are appended as branch tokens, in this order. */
  private readonly nodes: TreeNode[] = [{ token: -1, parent: -1, depth: 0, children: new Map() }];

  /** An opener that starts with another one adds nothing to p(R) and is dropped: hence the shortest first. */
  constructor(readonly spec: ScoreSpec) {
    for (const opener of [...spec.openers].sort((a, b) => a.length - b.length)) this.insert(opener);
  }

  /** Tokens of the branches: inner node 1, 2, ... */
  get branchTokens(): number[] {
    return this.nodes.slice(1).map((node) => node.token);
  }

  /** Depth of each branch token, 1 at least: its position is promptLength - 1 + depth. */
  get branchDepths(): number[] {
    return this.nodes.slice(1).map((node) => node.depth);
  }

  /** For each branch token, the branch numbers (0-based) of its ancestors and itself. */
  get branchAncestry(): number[][] {
    return this.nodes.slice(1).map((_, i) => {
      const path: number[] = [];
      for (let node = i + 1; node > 0; node = this.nodes[node].parent) path.push(node - 1);
      return path;
    });
  }

  /** Inner nodes: positions whose logits are needed. */
  get nodeCount(): number {
    return this.nodes.length;
  }

  /** Tokens whose logits are needed at a node. */
  specials(node: number): number[] {
    const own = [...this.nodes[node].children.keys()];
    return node === 0 ? [...new Set([...own, ...this.spec.firstTokenIds, this.spec.iTokenId])] : own;
  }

  /** Scores from the mass at every inner node, in node order. */
  score(mass: readonly NodeMass[]): RefusalScores {
    const opened: number[] = [];
    const left: number[] = [];
    const path = new Float64Array(this.nodes.length);
    this.nodes.forEach((node, n) => {
      if (n > 0) path[n] = path[node.parent] + (mass[node.parent].special.get(node.token) as number);
      left.push(path[n] + mass[n].rest);
      for (const [token, logP] of mass[n].special) {
        const child = node.children.get(token);
        if (child === LEAF) opened.push(path[n] + logP);
        else if (child === undefined) left.push(path[n] + logP);
      }
    });
    return {
      refusalScore: logOdds(opened, left),
      firstTokenScore: this.firstToken(mass[0]),
      pI: Math.exp(mass[0].special.get(this.spec.iTokenId) as number),
    };
  }

  private firstToken({ special, rest }: NodeMass): number {
    const first = new Set(this.spec.firstTokenIds);
    const inside: number[] = [];
    const outside = [rest];
    for (const [token, logP] of special) (first.has(token) ? inside : outside).push(logP);
    return logOdds(inside, outside);
  }

  private insert(opener: readonly number[]): void {
    let node = 0;
    opener.forEach((token, i) => {
      const children = this.nodes[node]?.children;
      const next = children?.get(token);
      if (node === LEAF || next === LEAF) {
        node = LEAF;
      } else if (i === opener.length - 1) {
        children.set(token, LEAF);
      } else if (next !== undefined) {
        node = next;
      } else {
        this.nodes.push({ token, parent: node, depth: i + 1, children: new Map() });
        node = this.nodes.length - 1;
        children.set(token, node);
      }
    });
  }
}

/** log p - log(1 - p) from the logs of the parts of p and of 1 - p. */
function logOdds(inside: readonly number[], outside: readonly number[]): number {
  const clip = (value: number) => Math.min(Math.max(value, LOG_FLOOR), 0);
  return clip(logSumExp(inside)) - clip(logSumExp(outside));
}

export function logSumExp(values: readonly number[]): number {
  const max = Math.max(...values);
  if (max === Number.NEGATIVE_INFINITY || values.length === 0) return Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - max);
  return max + Math.log(sum);
}
