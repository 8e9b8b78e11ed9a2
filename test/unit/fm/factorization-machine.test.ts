import { describe, expect, it } from 'vitest';
import { buildDesign, type DesignMatrix } from '../../../services/fm/design-matrix.js';
import { decodeMachine, encodeMachine } from '../../../services/fm/encode-machine.js';
import {
  type FactorizationMachine,
  foldBack,
  pairWeight,
  predict,
} from '../../../services/fm/factorization-machine.js';
import {
  addRowGradient,
  buildSparseRows,
  packedLength,
  predictPacked,
} from '../../../services/fm/factorization-machine-gradient.js';
import { meanLogLoss } from '../../../services/fm/solve-ridge.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

const random = createSeededRandom(7);
const normals = (length: number) => Float64Array.from({ length }, () => random.normal());

const randomMachine = (columns: number, rank: number): FactorizationMachine => ({
  loss: 'squared',
  columns,
  rank,
  intercept: random.normal(),
  weights: normals(columns),
  factors: normals(columns * rank),
});

const randomDesign = (rows: number, columns: number): DesignMatrix =>
  buildDesign(Array.from({ length: rows }, () => normals(columns).map((x) => (x > 0.5 ? x : 0))));

/** The definition, term by term, with a double loop over features. */
const predictByDefinition = (machine: FactorizationMachine, x: ArrayLike<number>): number => {
  let sum = machine.intercept;
  for (let i = 0; i < machine.columns; i++) {
    sum += machine.weights[i]! * x[i]!;
    for (let j = i + 1; j < machine.columns; j++) sum += pairWeight(machine, i, j) * x[i]! * x[j]!;
  }
  return sum;
};

const rowOf = ({ values, columns }: DesignMatrix, row: number) => values.subarray(row * columns, (row + 1) * columns);

describe('factorization machine', () => {
  it('predicts what the double sum over all pairs gives', () => {
    const machine = randomMachine(23, 5);
    const design = randomDesign(40, 23);
    predict(machine, design).forEach((y, row) => {
      expect(y).toBeCloseTo(predictByDefinition(machine, rowOf(design, row)), 10);
    });
  });

  it('is the same function after its columns and target were scaled and folded back', () => {
    const machine = randomMachine(9, 4);
    const scaling = { means: normals(9), scales: normals(9).map((s) => 0.5 + Math.abs(s)) };
    const unit = { mean: -2.5, scale: 3.25 };
    const design = randomDesign(30, 9);
    const folded = predict(foldBack(machine, scaling, unit), design);
    folded.forEach((y, row) => {
      const z = Float64Array.from(rowOf(design, row), (x, k) => (x - scaling.means[k]!) / scaling.scales[k]!);
      expect(y).toBeCloseTo(unit.mean + unit.scale * predictByDefinition(machine, z), 9);
    });
  });

  it.each(['squared', 'logistic'] as const)('has the gradient of finite differences under %s loss', (loss) => {
    const shape = { count: 6, rank: 3, loss };
    const design = randomDesign(8, 6);
    const rows = buildSparseRows(
      design,
      normals(6).map((s) => 0.5 + Math.abs(s)),
    );
    const target = Float64Array.from({ length: 8 }, () => (loss === 'logistic' ? random.below(2) : random.normal()));
    const packed = normals(packedLength(shape)).map((p) => p / 2);
    const sums = new Float64Array(shape.rank);
    const totalLoss = (at: Float64Array) => {
      const predictions = target.map((_, row) => predictPacked(shape, at, rows, row, sums));
      return loss === 'logistic'
        ? meanLogLoss(predictions, target)
        : predictions.reduce((sum, p, row) => sum + (p - target[row]!) ** 2 / target.length, 0);
    };
    const gradient = new Float64Array(packed.length);
    for (let row = 0; row < 8; row++) addRowGradient(shape, packed, rows, row, target[row]!, 1 / 8, sums, gradient);
    gradient.forEach((slope, p) => {
      const step = 1e-5;
      const at = (by: number) => totalLoss(packed.map((value, q) => (q === p ? value + by : value)));
      expect(slope).toBeCloseTo((at(step) - at(-step)) / (2 * step), 7);
    });
  });

  it('survives JSON bit for bit', () => {
    const machine = randomMachine(5, 2);
    expect(decodeMachine(JSON.parse(JSON.stringify(encodeMachine(machine))))).toEqual(machine);
  });

  it.each([
    [{ format: 'other' }, 'REQUEST_INVALID', /format other; this version reads refusalscope-fm\/1/],
    [{ loss: 'hinge' }, 'REQUEST_INVALID', /loss hinge; it must be squared or logistic/],
    [{ rank: 0 }, 'REQUEST_INVALID', /rank 0; rank must be 1 to 256/],
    [{ weights: [1] }, 'SHAPE_MISMATCH', /1 weights and 10 factors; 5 features of rank 2 need 5 and 10/],
    [{ intercept: Number.NaN }, 'NOT_FINITE', /not finite; fit it again/],
  ])('refuses a stored model with %j', (change, code, text) => {
    const encoded = { ...encodeMachine(randomMachine(5, 2)), ...change } as ReturnType<typeof encodeMachine>;
    expect(() => decodeMachine(encoded)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(text) }) as Error,
    );
  });

  it('refuses rows of another width', () => {
    expect(() => predict(randomMachine(5, 2), randomDesign(2, 4))).toThrow(
      expect.objectContaining({
        code: 'SHAPE_MISMATCH',
        message: expect.stringMatching(/rows have 4 features .* 5/),
      }) as Error,
    );
  });
});
