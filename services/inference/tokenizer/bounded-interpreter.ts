/**
 * The Jinja interpreter with an end: steps, texts, lists and the numbers that filters take are bounded. Prevents a chat template, which is
 * a program that came with the weights, from holding the process or filling its memory. With chat-template.ts the door to the library.
 */
import { Interpreter } from '@huggingface/jinja';

/** The longest templates in use take some 2,000 steps for a chat of a few turns. */
const MAX_STEPS = 50_000;
/** Prompts of 65,536 bytes are read at most; a template that makes far more of one is no template. */
const MAX_CHARACTERS = 4_000_000;
/** Of all texts that one rendering makes: many long ones are no way around the limit of one. */
const MAX_CHARACTERS_IN_ALL = 100_000_000;
const MAX_ITEMS = 100_000;
/** Indents and truncations: a larger number would be multiplied with a text before its length can be seen. */
const MAX_FILTER_NUMBER = 10_000;

type Node = Readonly<Record<string, unknown>>;

/** The part of the library that this stands on; its own declarations do not resolve under NodeNext. */
interface LibraryInterpreter {
  evaluate(statement: Node | undefined, scope: unknown): { readonly value: unknown };
  run(program: unknown): { readonly value: unknown };
}
const Library = Interpreter as unknown as new (environment: unknown) => LibraryInterpreter;

export class BoundedInterpreter extends Library {
  private steps = 0;
  private characters = 0;

  override evaluate(statement: Node | undefined, scope: unknown): { readonly value: unknown } {
    if (++this.steps > MAX_STEPS) throw new Error(`more than ${MAX_STEPS} steps`);
    if (statement !== undefined && FILTERED.has(statement.type)) this.checkFilter(statement, scope);
    const result = super.evaluate(statement, scope);
    this.checkSize(result?.value);
    return result;
  }

  private checkSize(value: unknown): void {
    if (typeof value === 'string') {
      this.characters += value.length;
      if (value.length > MAX_CHARACTERS || this.characters > MAX_CHARACTERS_IN_ALL)
        throw new Error(`a text of more than ${MAX_CHARACTERS} characters`);
    } else if (Array.isArray(value) && value.length > MAX_ITEMS)
      throw new Error(`a list of more than ${MAX_ITEMS} values`);
  }

  /** Arguments of filters have no effects of their own, so that they may be evaluated twice. */
  private checkFilter({ filter }: Node, scope: unknown): void {
    for (const argument of ((filter as Node).args as Node[] | undefined) ?? []) {
      const node = (argument.type === 'KeywordArgumentExpression' ? argument.value : argument) as Node;
      if (String(node.type).includes('Spread')) throw new Error('spread arguments of a filter');
      const { value } = this.evaluate(node, scope);
      if (typeof value === 'number' && Math.abs(value) > MAX_FILTER_NUMBER)
        throw new Error(`a filter was given ${value}; at most ${MAX_FILTER_NUMBER} is taken`);
    }
  }
}

const FILTERED: ReadonlySet<unknown> = new Set(['FilterExpression', 'FilterStatement']);
