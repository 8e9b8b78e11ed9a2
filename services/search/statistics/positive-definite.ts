/** The inverse of a small symmetric positive definite matrix, by Cholesky: for systems with as many unknowns as prompts. */
import { fault } from '../../../shared/errors/fault.js';

/** `matrix` [n, n], row-major; not changed. @throws INTERNAL if it is not positive definite. */
export function invertPositiveDefinite(matrix: Float64Array, n: number): Float64Array {
  const lower = factorise(matrix, n);
  const inverse = new Float64Array(n * n);
  const column = new Float64Array(n);
  for (let unit = 0; unit < n; unit++) {
    for (let i = 0; i < n; i++) {
      let sum = i === unit ? 1 : 0;
      for (let k = 0; k < i; k++) sum -= lower[i * n + k]! * column[k]!;
      column[i] = sum / lower[i * n + i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      let sum = column[i]!;
      for (let k = i + 1; k < n; k++) sum -= lower[k * n + i]! * column[k]!;
      column[i] = sum / lower[i * n + i]!;
      inverse[i * n + unit] = column[i]!;
    }
  }
  return inverse;
}

/** L with L L^T = matrix. */
function factorise(matrix: Float64Array, n: number): Float64Array {
  const lower = new Float64Array(n * n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j <= i; j++) {
      let sum = matrix[i * n + j]!;
      for (let k = 0; k < j; k++) sum -= lower[i * n + k]! * lower[j * n + k]!;
      if (i !== j) lower[i * n + j] = sum / lower[j * n + j]!;
      else if (sum > 0) lower[i * n + i] = Math.sqrt(sum);
      else throw fault('INTERNAL', `A matrix of ${n} rows is not positive definite.`);
    }
  return lower;
}
