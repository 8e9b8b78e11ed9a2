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

const fitOf = (score: (mask: readonly number[]) => number, noise = 0) => {
  const { design, target } = everyMask(score);
  const random = createSeededRandom(5);
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

  it('is the linear one where scores are additive, and the pairs are then small', () => {
    const { choice, interactions } = fitOf((m) => 3 - 2 * m[0]! + m[4]!, 0.5);
    expect(choice.best.name).toBe('linear');
    expect(choice.pairs.name).not.toBe('linear');
    expect(Math.abs(interactions[0]?.weight ?? 0)).toBeLessThan(0.3);
  });

  it('goes by the validation rows alone, and takes the simpler one of equals', () => {
    const fitted = (name: ModelName, validationLoss: number): FittedModel => ({
      name,
      validationLoss,
      quality: { train: { rows: 0 }, validation: { rows: 0 }, test: { rows: 9, r2: 1 - validationLoss } },
    });
    const models = [fitted('linear', 0.2), fitted('factorization-machine', 0.3), fitted('all-pairs', 0.3)];
    expect(chooseModel(models).best.name).toBe('linear');
    expect(chooseModel(models).pairs.name).toBe('factorization-machine');
    expect(chooseModel([...models, fitted('boosted-trees', 0.2)]).pairs.name).toBe('boosted-trees');
    expect(chooseModel([...models, fitted('boosted-trees', 0.2)]).best.name).toBe('linear');
  });
});
