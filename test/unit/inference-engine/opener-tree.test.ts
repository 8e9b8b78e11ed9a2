/** The opener tree against the plain sum of sequence probabilities that defines the score. */
import { describe, expect, it } from 'vitest';
import { type NodeMass, OpenerTree, type ScoreSpec } from '../../../services/inference/engine/opener-tree.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

const VOCABULARY = 12;

/** A made-up language model: log-probabilities of the next token after a sequence, the same for the same sequence. */
function nextLogP(sequence: readonly number[]): number[] {
  const random = createSeededRandom(sequence.reduce((seed, token) => seed * 31 + token + 1, 7) % 100_003);
  const logits = Array.from({ length: VOCABULARY }, () => 3 * random.normal());
  const total = Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit), 0));
  return logits.map((logit) => logit - total);
}

/** What the engine would hand to the tree: mass at every inner node. */
function massOf(tree: OpenerTree): NodeMass[] {
  const tokens = [-1, ...tree.branchTokens];
  const ancestry = [[], ...tree.branchAncestry];
  return tokens.map((_, node) => {
    const path = [...ancestry[node]].reverse().map((branch) => tokens[branch + 1]);
    const logP = nextLogP(path);
    const special = tree.specials(node);
    const rest = Math.log(
      logP.reduce((sum, value, token) => (special.includes(token) ? sum : sum + Math.exp(value)), 0),
    );
    return { special: new Map(special.map((token) => [token, logP[token]])), rest };
  });
}

const sequenceP = (sequence: readonly number[]): number =>
  Math.exp(sequence.reduce((sum, token, i) => sum + nextLogP(sequence.slice(0, i))[token], 0));

const logOdds = (p: number): number => Math.log(p) - Math.log1p(-p);

describe('the opener tree', () => {
  const cases: Record<string, ScoreSpec> = {
    'one token each': { openers: [[1], [2]], firstTokenIds: [1], iTokenId: 1 },
    'shared beginnings': { openers: [[1, 2, 3], [1, 2, 4], [1, 5], [6]], firstTokenIds: [1, 6], iTokenId: 1 },
    'four tokens deep': {
      openers: [
        [1, 2, 3, 4],
        [1, 2, 5, 6],
        [7, 8, 9, 10],
      ],
      firstTokenIds: [7],
      iTokenId: 0,
    },
    'a first token that opens nothing': { openers: [[3, 4]], firstTokenIds: [5], iTokenId: 6 },
  };
  it.each(Object.entries(cases))('%s', (_, spec) => {
    const tree = new OpenerTree(spec);
    const scores = tree.score(massOf(tree));
    const opened = spec.openers.reduce((sum, opener) => sum + sequenceP(opener), 0);
    const first = spec.firstTokenIds.reduce((sum, token) => sum + Math.exp(nextLogP([])[token]), 0);
    expect(scores.refusalScore).toBeCloseTo(logOdds(opened), 9);
    expect(scores.firstTokenScore).toBeCloseTo(logOdds(first), 9);
    expect(scores.pI).toBeCloseTo(Math.exp(nextLogP([])[spec.iTokenId]), 12);
  });

  it('counts an opener that begins with another one once, in whichever order they come', () => {
    const spec = { firstTokenIds: [1], iTokenId: 1 };
    const short = new OpenerTree({ ...spec, openers: [[1, 2]] });
    const expected = short.score(massOf(short)).refusalScore;
    for (const openers of [
      [
        [1, 2],
        [1, 2, 3],
      ],
      [
        [1, 2, 3],
        [1, 2],
      ],
      [
        [1, 2, 3],
        [1, 2],
        [1, 2, 4],
      ],
    ]) {
      const tree = new OpenerTree({ ...spec, openers });
      expect(tree.score(massOf(tree)).refusalScore).toBeCloseTo(expected, 9);
      expect(tree.nodeCount).toBe(short.nodeCount);
    }
  });

  it('keeps its precision where the openers take almost all the mass', () => {
    const tree = new OpenerTree({ openers: [[1]], firstTokenIds: [1], iTokenId: 1 });
    const rest = Math.log(1e-9);
    const mass = [{ special: new Map([[1, Math.log1p(-1e-9)]]), rest }];
    expect(tree.score(mass).refusalScore).toBeCloseTo(Math.log(1e9), 6);
    // Below the floor of 1e-12 it is clipped, never infinite.
    const sure = [{ special: new Map([[1, 0]]), rest: Number.NEGATIVE_INFINITY }];
    expect(tree.score(sure).refusalScore).toBeCloseTo(-Math.log(1e-12), 9);
  });
});
