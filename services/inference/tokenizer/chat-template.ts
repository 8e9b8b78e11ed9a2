/**
 * The door to @huggingface/jinja: a model's own chat template, rendered the same way on every day. Templates that print
 * today's date get a fixed one, since token ids that change at midnight would make an audit that goes on tomorrow another audit.
 */
import { Environment, parse, tokenize } from '@huggingface/jinja';
import { fault } from '../../../shared/errors/fault.js';
import { BoundedInterpreter } from './bounded-interpreter.js';
import type { ChatMessage } from './chat-tokenizer.js';

/** 26 July 2024: the date that the Llama 3.1 template itself falls back on. */
export const TEMPLATE_DATE = new Date(Date.UTC(2024, 6, 26));

const MONTHS = 'January February March April May June July August September October November December'.split(' ');
const DAYS = 'Sunday Monday Tuesday Wednesday Thursday Friday Saturday'.split(' ');
const two = (value: number): string => String(value).padStart(2, '0');

const DATE_PARTS: Readonly<Record<string, string>> = {
  Y: String(TEMPLATE_DATE.getUTCFullYear()),
  m: two(TEMPLATE_DATE.getUTCMonth() + 1),
  d: two(TEMPLATE_DATE.getUTCDate()),
  B: MONTHS[TEMPLATE_DATE.getUTCMonth()]!,
  b: MONTHS[TEMPLATE_DATE.getUTCMonth()]!.slice(0, 3),
  A: DAYS[TEMPLATE_DATE.getUTCDay()]!,
  a: DAYS[TEMPLATE_DATE.getUTCDay()]!.slice(0, 3),
  H: '00',
  M: '00',
  S: '00',
  '%': '%',
};

const formatDate = (format: string): string =>
  format.replace(/%([a-zA-Z%])/g, (all, part: string) => DATE_PARTS[part] ?? all);

/** More steps than this in a template's range() is a mistake or an attack. */
const MAX_RANGE = 10_000;

const range = (first: number, second?: number, step = 1): number[] => {
  const [start, end] = second === undefined ? [0, first] : [first, second];
  const count = Math.max(0, Math.ceil((end - start) / step));
  if (!(count <= MAX_RANGE)) throw new Error(`range() of ${count} steps; at most ${MAX_RANGE} are allowed`);
  return Array.from({ length: count }, (_, index) => start + index * step);
};

const GLOBALS: Readonly<Record<string, unknown>> = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  range,
  strftime_now: formatDate,
  raise_exception: (text: string) => {
    throw new Error(text);
  },
};

export interface ChatTemplate {
  /** Faults: REQUEST_INVALID with the template's own words when it refuses the messages. */
  render(messages: readonly ChatMessage[], addGenerationPrompt: boolean): string;
}

const parseSource = (source: string) => {
  try {
    return parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }));
  } catch (cause) {
    throw fault('TENSOR_FILE_UNSUPPORTED', `The model's chat template cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
};

/** `variables` are the values a template may use besides the messages: bos_token, eos_token, enable_thinking and so on. */
export const parseChatTemplate = (source: string, variables: Readonly<Record<string, unknown>>): ChatTemplate => {
  const program = parseSource(source);
  const render = (messages: readonly ChatMessage[], addGenerationPrompt: boolean): string => {
    const environment = new Environment();
    const values = { ...GLOBALS, ...variables, messages, add_generation_prompt: addGenerationPrompt };
    for (const [name, value] of Object.entries(values)) environment.set(name, value);
    try {
      return String(new BoundedInterpreter(environment).run(program).value);
    } catch (cause) {
      throw fault('REQUEST_INVALID', `The model's chat template refused the messages: ${(cause as Error).message}`, {
        cause,
      });
    }
  };
  return { render };
};
