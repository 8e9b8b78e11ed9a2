import { describe, expect, it } from 'vitest';
import { chooseModel, type FittedModel, type ModelName } from '../../../services/fm/choose-model.js';
import { fitWithBaseline } from '../../../services/fm/fit-with-baseline.js';
import { runStepsNow } from '../../../services/fm/steps.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

const K = 9;

/** Every mask of K features, and the score of each. */
const everyMask = (score: (mask: readonly number[]) => number) => {
  const masks = Array.from({ length: 2 ** K }, (_, bits) => Array.from({ length: K }, (_, k) => (bits >> k) & 1));
  return {
    design: { rows: masks.length, columns: K, values: Float32Array.from(masks.flat()) },
    target: Float64Array.from(masks, score),
  };
};

/**
 * The Banzhaf interaction by its definition: f(ij) - f(i) - f(j) + f(none), mean over all contexts of the other features. It is also what
 * the best model of second order has as its coefficient when every mask counts the same (Hammer and Holzman, 1992).
 */
function banzhaf(score: (mask: readonly number[]) => number, i: number, j: number): number {
  const contexts = Array.from({ length: 2 ** K }, (_, bits) => bits).filter((bits) => !(bits & ((1 << i) | (1 << j))));
  const at = (bits: number) => score(Array.from({ length: K }, (_, k) => (bits >> k) & 1));
  const sum = contexts.reduce(
    (total, bits) => total + at(bits | (1 << i) | (1 << j)) - at(bits | (1 << i)) - at(bits | (1 << j)) + at(bits),
    0,
  );
  return sum / contexts.length;
}

const fitOf = (score: (mask: readonly number[]) => number, noise = 0, seed = 5) => {
  const { design, target } = everyMask(score);
  const random = createSeededRandom(seed);
  return runStepsNow(
    fitWithBaseline({ design, target: target.map((y) => y + noise * random.normal()), loss: 'squared', limit: 40 }),
  );
};

const MECHANISMS: Readonly<Record<string, (mask: readonly number[]) => number>> = {
  // Flips only once all three are off; each pair is worth half of it in the mean context.
  'an OR of three': (m) => 4 - 6 * (m[0]! * m[1]! * m[2]!) + 0.3 * m[5]!,
  'two redundant pairs': (m) => 4 - 5 * m[0]! * m[4]! - 4 * m[2]! * m[7]! - 0.5 * m[1]!,
  'an AND: either loss flips': (m) => 4 - 6 * Math.max(m[3]!, m[6]!),
};

describe('the model that is chosen', () => {
  it.each(Object.entries(MECHANISMS))('has the exact pair effects of %s', (_, score) => {
    const { interactions, choice } = fitOf(score);
    const found = new Map(interactions.map(({ first, second, weight }) => [`${first},${second}`, weight]));
    for (let i = 0; i < K; i++)
      for (let j = i + 1; j < K; j++)
        expect(Math.abs((found.get(`${i},${j}`) ?? 0) - banzhaf(score, i, j)), `${i},${j}`).toBeLessThan(0.45);
    const top = interactions.filter(({ weight }) => Math.abs(weight) > 0.9).map(({ first, second }) => [first, second]);
    expect(top).toHaveLength(
      score === MECHANISMS['an OR of three'] ? 3 : score === MECHANISMS['two redundant pairs'] ? 2 : 1,
    );
    expect(choice.best.name).not.toBe('linear');
  });

  it.each([1, 2, 3, 4, 5, 6])('is the linear one where scores are additive with noise, seed %i', (seed) => {
    const { choice } = fitOf((m) => 3 - 2 * m[0]! + m[4]!, 0.5, seed);
    expect(choice.best.name).toBe('linear');
    expect(choice.pairs.name).not.toBe('linear');
  });

  it('goes by the validation rows alone, takes the simpler one of equals, and wants a gain over linear that is no chance', () => {
    const fitted = (name: ModelName, validationLoss: number): FittedModel => ({
      name,
      validationLoss,
      quality: { train: { rows: 0 }, validation: { rows: 0 }, test: { rows: 9, r2: validationLoss } },
    });
    const namesOf = (machine: number, allPairs: number, trees: number) => {
      const { best, pairs } = chooseModel([
        fitted('linear', 0.2),
        fitted('factorization-machine', machine),
        fitted('all-pairs', allPairs),
        fitted('boosted-trees', trees),
      ]);
      return [best.name, pairs.name];
    };
    expect(namesOf(0.1, 0.1, 0.15)).toEqual(['factorization-machine', 'factorization-machine']);
    expect(namesOf(0.1, 0.09, 0.08)).toEqual(['boosted-trees', 'boosted-trees']);
    expect(namesOf(0.3, 0.185, 0.25)).toEqual(['linear', 'all-pairs']);
    expect(namesOf(0.3, 0.175, 0.25)).toEqual(['all-pairs', 'all-pairs']);
  });
});
