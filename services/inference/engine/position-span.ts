/** Which positions an edit acts on, and what that means for one sequence. */
export interface PositionSpan {
  readonly span: 'all' | 'instruction' | 'answer' | 'range';
  /** Only for 'range': [start, end); end 0 = without end. */
  readonly start: number;
  readonly end: number;
  readonly includeBos: boolean;
}

export interface SequenceLandmarks {
  /** First position of the user's instruction. */
  readonly instructionStart: number;
  /** Tokens of the prompt: the position of the first answer token. */
  readonly promptLength: number;
}

/** Positions [first, end) of a sequence; end is Infinity where later tokens are edited too. */
export function resolveSpan(
  { span, start, end, includeBos }: PositionSpan,
  { instructionStart, promptLength }: SequenceLandmarks,
): { first: number; end: number } {
  const least = includeBos ? 0 : 1;
  const starts = { all: 0, instruction: instructionStart, answer: promptLength, range: start };
  return {
    first: Math.max(least, starts[span]),
    end: span === 'range' && end > 0 ? end : Number.POSITIVE_INFINITY,
  };
}
