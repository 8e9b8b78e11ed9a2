/**
 * Where an edit acts, as domain code and people write it: "instruction", "all", "answer", "3:17" or "3:", with "+bos" if position 0
 * may be edited too. The only parser, printer and wire codec of positions.
 */
import { Positions_Span, type Positions as ProtoPositions } from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../errors/fault.js';

export interface Positions {
  readonly span: 'all' | 'instruction' | 'answer' | 'range';
  /** Only for a range: first position, inclusive; end, exclusive, 0 without end. */
  readonly start: number;
  readonly end: number;
  /** Position 0 has a huge norm in most models: it is left out unless it is the question. */
  readonly includeBos: boolean;
}

export const INSTRUCTION_POSITIONS: Positions = { span: 'instruction', start: 0, end: 0, includeBos: false };

const RANGE_PATTERN = /^(\d{1,7}):(\d{1,7})?$/;

/** Throws REQUEST_INVALID for any other text. */
export const parsePositions = (text: string): Positions => {
  const includeBos = text.endsWith('+bos');
  const bare = includeBos ? text.slice(0, -'+bos'.length) : text;
  // The golden values' word for it.
  const span = bare === 'all_but_first' ? 'all' : bare;
  if (span === 'all' || span === 'instruction' || span === 'answer') return { span, start: 0, end: 0, includeBos };
  const range = RANGE_PATTERN.exec(span);
  const start = Number(range?.[1]);
  const end = Number(range?.[2] ?? 0);
  if (range === null || (range[2] !== undefined && end <= start)) {
    const shown = JSON.stringify(text.slice(0, 40));
    throw fault(
      'REQUEST_INVALID',
      `${shown} names no positions: write instruction, all, answer, or a range such as 3:17 or 3: (add +bos to edit position 0 too).`,
    );
  }
  return { span: 'range', start, end, includeBos };
};

export const formatPositions = (positions: Positions): string => {
  const range = `${positions.start}:${positions.end === 0 ? '' : positions.end}`;
  return (positions.span === 'range' ? range : positions.span) + (positions.includeBos ? '+bos' : '');
};

const SPAN_NUMBERS = {
  all: Positions_Span.SPAN_ALL,
  instruction: Positions_Span.SPAN_INSTRUCTION,
  answer: Positions_Span.SPAN_ANSWER,
  range: Positions_Span.SPAN_RANGE,
} as const;

export const encodePositions = (positions: Positions): ProtoPositions => ({
  ...positions,
  span: SPAN_NUMBERS[positions.span],
});

/** Absent or unspecified positions are the default, instruction onwards. Throws REQUEST_INVALID for an empty range. */
export const decodePositions = (wire: ProtoPositions | undefined): Positions => {
  if (wire === undefined || wire.span === Positions_Span.SPAN_UNSPECIFIED) {
    return { ...INSTRUCTION_POSITIONS, includeBos: wire?.includeBos ?? false };
  }
  const span = (Object.keys(SPAN_NUMBERS) as (keyof typeof SPAN_NUMBERS)[]).find(
    (name) => SPAN_NUMBERS[name] === wire.span,
  );
  if (span === undefined) throw fault('REQUEST_INVALID', `Span ${wire.span} of positions is not known.`);
  if (span === 'range' && wire.end !== 0 && wire.end <= wire.start) {
    throw fault('REQUEST_INVALID', `The range ${wire.start}:${wire.end} holds no position.`);
  }
  return { span, start: wire.start, end: wire.end, includeBos: wire.includeBos };
};
