/** From final residual rows to outcomes: the head, the opener tree, and the divergence from the clean prompt where asked for. */
import type { Finished } from './convoy.js';
import { ownScoredPositions } from './convoy.js';
import { logSumExp, type NodeMass } from './opener-tree.js';
import type { ScoredPrompt } from './scored-prompt.js';
import type { Transformer } from './transformer.js';

/** Rows a head run at most: the logits of one row are a whole vocabulary of floats inside the runtime. */
const MAX_HEAD_ROWS = 128;

export class StateScorer {
  /** Logits of the first answer token on clean prompts, where a divergence was asked for. */
  private readonly cleanLogits = new WeakMap<ScoredPrompt, Float32Array>();

  constructor(private readonly transformer: Transformer) {}

  /** Sets the outcome of every state; where an evaluation that waits wants it, the divergence too. */
  async score(finished: readonly Finished[]): Promise<void> {
    for (let from = 0; from < finished.length; ) {
      let to = from;
      let rows = 0;
      do rows += ownScoredPositions(finished[to++].passage).length;
      while (to < finished.length && rows + ownScoredPositions(finished[to].passage).length <= MAX_HEAD_ROWS);
      await this.scoreChunk(finished.slice(from, to), rows);
      from = to;
    }
    for (const one of finished) if (one.passage.waiting.some(({ call }) => call.firstTokenKl)) await this.diverge(one);
  }

  private async scoreChunk(finished: readonly Finished[], rows: number): Promise<void> {
    const { dModel } = this.transformer.spec;
    const packed = new Float32Array(rows * dModel);
    const specials: number[][] = [];
    for (const { passage, rows: own } of finished) {
      packed.set(own, specials.length * dModel);
      for (const position of ownScoredPositions(passage)) specials.push(specialsAt(passage.node.prompt, position));
    }
    const width = Math.max(1, ...specials.map((tokens) => tokens.length));
    const ids = new BigInt64Array(rows * width);
    // Short lists are padded with their own first token: a repeat changes neither the logits read nor the rest.
    specials.forEach((tokens, row) => {
      for (let c = 0; c < width; c++) ids[row * width + c] = BigInt(tokens[c] ?? tokens[0]);
    });
    const { specialLogits, restLse } = await this.transformer.runHead(packed, ids);
    let row = 0;
    for (const { passage } of finished) {
      const own = ownScoredPositions(passage).map((_) => {
        const mass = nodeMass(specials[row], specialLogits.subarray(row * width), restLse[row]);
        row++;
        return mass;
      });
      const { node } = passage;
      const all = node.prompt.scoredPositions.length;
      const clean = own.length === all ? [] : (node.root.outcome?.mass.slice(0, all - own.length) ?? []);
      const mass = [...clean, ...own];
      node.outcome = { ...node.prompt.tree.score(mass), mass };
    }
  }

  /** KL(clean || state) of the first answer token, nats. */
  private async diverge({ passage: { node }, rows }: Finished): Promise<void> {
    if (node.start > node.prompt.landmarks.promptLength - 1) {
      node.firstTokenKl = 0;
      return;
    }
    const first = rows.subarray(0, this.transformer.spec.dModel);
    const { logits } = await this.transformer.runHead(first, BigInt64Array.of(0n), true);
    if (node.isRoot) this.cleanLogits.set(node.prompt, logits as Float32Array);
    const clean = this.cleanLogits.get(node.prompt);
    node.firstTokenKl = clean === undefined ? undefined : divergence(clean, logits as Float32Array);
  }
}

const specialsAt = (prompt: ScoredPrompt, position: number): number[] =>
  prompt.tree.specials(position - prompt.landmarks.promptLength + 1);

function nodeMass(tokens: readonly number[], logits: Float32Array, restLse: number): NodeMass {
  const total = logSumExp([restLse, ...tokens.map((_, c) => logits[c])]);
  return { special: new Map(tokens.map((token, c) => [token, logits[c] - total])), rest: restLse - total };
}

/** sum p (log p - log q) in float64. */
function divergence(p: Float32Array, q: Float32Array): number {
  const pTotal = logSumExpOf(p);
  const qTotal = logSumExpOf(q);
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i] - pTotal;
    sum += Math.exp(logP) * (logP - (q[i] - qTotal));
  }
  return Math.max(0, sum);
}

function logSumExpOf(values: Float32Array): number {
  let max = Number.NEGATIVE_INFINITY;
  for (const value of values) if (value > max) max = value;
  let sum = 0;
  for (const value of values) sum += Math.exp(value - max);
  return max + Math.log(sum);
}
