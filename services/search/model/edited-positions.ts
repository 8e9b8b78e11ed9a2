/** Which positions of a prompt an edit touches, and what kind of token stands there: one reading of the spans for all stages. */
import type { Positions } from '../../../shared/tensors/positions.js';
import type { TokenizedPrompt } from './model-port.js';

export type PositionKind = 'bos' | 'template' | 'content';

/** Positions of the prompt, ascending; empty for edits that act on the answer alone. */
export function editedPositions(spec: Positions, tokens: TokenizedPrompt): number[] {
  const [start, end] = boundsOf(spec, tokens);
  const first = Math.max(start, spec.includeBos ? 0 : 1);
  return Array.from({ length: Math.max(end - first, 0) }, (_, i) => first + i);
}

function boundsOf(spec: Positions, { tokenIds, instructionStart }: TokenizedPrompt): [number, number] {
  const length = tokenIds.length;
  switch (spec.span) {
    case 'all':
      return [0, length];
    case 'instruction':
      return [instructionStart, length];
    case 'answer':
      return [length, length];
    case 'range':
      return [spec.start, spec.end === 0 ? length : Math.min(spec.end, length)];
  }
}

/** Position 0 is BOS; before and after the instruction stands the chat template. */
export function kindOfPosition(position: number, tokens: TokenizedPrompt): PositionKind {
  if (position === 0) return 'bos';
  return position >= tokens.instructionStart && position < tokens.instructionEnd ? 'content' : 'template';
}
