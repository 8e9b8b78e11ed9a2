/** A factorization machine as plain JSON and back; what comes back is checked, as it may come from a file or the network. */
import { fault } from '../../shared/errors/fault.js';
import type { FactorizationMachine } from './factorization-machine.js';
import { MAX_RANK } from './fit-options.js';

export interface EncodedMachine {
  readonly format: 'refusalscope-fm/1';
  readonly loss: 'squared' | 'logistic';
  readonly columns: number;
  readonly rank: number;
  readonly intercept: number;
  /** [K] */
  readonly weights: readonly number[];
  /** [K, rank] row-major */
  readonly factors: readonly number[];
}

export const encodeMachine = (machine: FactorizationMachine): EncodedMachine => ({
  format: 'refusalscope-fm/1',
  ...machine,
  weights: Array.from(machine.weights),
  factors: Array.from(machine.factors),
});

/** Throws REQUEST_INVALID for another format, SHAPE_MISMATCH for arrays of the wrong length, NOT_FINITE for a NaN. */
export function decodeMachine(encoded: EncodedMachine): FactorizationMachine {
  const { format, loss, columns, rank, intercept } = encoded;
  if (format !== 'refusalscope-fm/1')
    throw fault('REQUEST_INVALID', `the model has format ${format}; this version reads refusalscope-fm/1`);
  if (loss !== 'squared' && loss !== 'logistic')
    throw fault('REQUEST_INVALID', `the model has loss ${loss}; it must be squared or logistic`);
  if (!(Number.isInteger(columns) && columns > 0 && Number.isInteger(rank) && rank > 0 && rank <= MAX_RANK))
    throw fault('REQUEST_INVALID', `the model has ${columns} features of rank ${rank}; rank must be 1 to ${MAX_RANK}`);
  if (encoded.weights.length !== columns || encoded.factors.length !== columns * rank)
    throw fault(
      'SHAPE_MISMATCH',
      `the model has ${encoded.weights.length} weights and ${encoded.factors.length} factors; ${columns} features of rank ${rank} need ${columns} and ${columns * rank}`,
    );
  const weights = Float64Array.from(encoded.weights);
  const factors = Float64Array.from(encoded.factors);
  if (![intercept, ...weights, ...factors].every(Number.isFinite))
    throw fault('NOT_FINITE', 'the model holds a weight that is not finite; fit it again');
  return { loss, columns, rank, intercept, weights, factors };
}
