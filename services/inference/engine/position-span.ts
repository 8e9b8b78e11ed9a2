/** What positions mean for one sequence. */
import type { Positions } from '../../../shared/tensors/positions.js';

export interface SequenceLandmarks {
  /** First position of the user's instruction. */
  readonly instructionStart: number;
  /** Tokens of the prompt: the position of the first answer token. */
  readonly promptLength: number;
}

/** Positions [first, end) of a sequence; end is Infinity where later tokens are edited too. */
export function resolveSpan(
  { span, start, end, includeBos }: Positions,
  { instructionStart, promptLength }: SequenceLandmarks,
): { first: number; end: number } {
  const least = includeBos ? 0 : 1;
  const starts = { all: 0, instruction: instructionStart, answer: promptLength, range: start };
  return {
    first: Math.max(least, starts[span]),
    end: span === 'range' && end > 0 ? end : Number.POSITIVE_INFINITY,
  };
}
