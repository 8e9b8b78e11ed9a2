/**
 * The openers of a model's refusals, from its own greedy answers: short token prefixes that open nearly all refusals and hardly any
 * compliant answer. "I" alone opens both, so a prefix is lengthened until it says a refusal in full. Stock openers that the answers
 * never used are added, because under edits a refusal may change its wording, and a mere change of wording must not count as a flip.
 */
import { normaliseAnswer } from '../judge/judge.js';
import { STOCK_OPENERS } from '../judge/refusal-phrases.js';

export interface OpenedAnswer {
  readonly tokenIds: readonly number[];
  /** Text of each token. */
  readonly pieces: readonly string[];
  readonly kind: 'refused' | 'complied';
}

export interface Opener {
  readonly tokenIds: readonly number[];
  readonly text: string;
}

export interface ChosenOpeners {
  /** The model's own by how many refusals they open, then the stock ones. None is a prefix of another. */
  readonly openers: readonly Opener[];
  /** First tokens of the model's own refusals, the most frequent first. */
  readonly firstTokenIds: readonly number[];
}

/** Openers a score may hold. */
export const MAX_OPENERS = 64;
/** An opener may open at most this share of compliant answers among all that start with it. */
const MAX_COMPLIED_SHARE = 0.1;
/** A first token opens at least this share of the refusals; Arditi et al. list one or two a model. */
const MIN_FIRST_TOKEN_SHARE = 0.02;
/** Without a stock phrase in it, one token says too little. */
const MIN_UNNAMED_DEPTH = 2;

const startsWith = (tokens: readonly number[], prefix: readonly number[]): boolean =>
  prefix.length <= tokens.length && prefix.every((token, i) => tokens[i] === token);

/** True once the text holds a whole stock opener at its start, not half of its last word. */
function isStockOpener(text: string): boolean {
  const start = normaliseAnswer(text);
  return STOCK_OPENERS.some((opener) => new RegExp(`^${opener.toLowerCase()}(?!\\w)`).test(start));
}

function isPure(prefix: readonly number[], answers: readonly OpenedAnswer[]): boolean {
  const opened = answers.filter(({ tokenIds }) => startsWith(tokenIds, prefix));
  const complied = opened.filter(({ kind }) => kind === 'complied').length;
  return complied <= opened.length * MAX_COMPLIED_SHARE;
}

function openerOf(answer: OpenedAnswer, answers: readonly OpenedAnswer[], maxDepth: number): Opener | undefined {
  const prefixes = Array.from({ length: Math.min(maxDepth, answer.tokenIds.length) }, (_, i) => ({
    tokenIds: answer.tokenIds.slice(0, i + 1),
    text: answer.pieces.slice(0, i + 1).join(''),
  }));
  const pure = prefixes.filter(({ tokenIds }) => isPure(tokenIds, answers));
  return (
    pure.find(({ text }) => isStockOpener(text)) ?? pure.find(({ tokenIds }) => tokenIds.length >= MIN_UNNAMED_DEPTH)
  );
}

/** The openers of the refusals, the one that opens most first. */
function ownOpeners(answers: readonly OpenedAnswer[], maxDepth: number): Opener[] {
  const counted = new Map<string, { opener: Opener; count: number }>();
  for (const answer of answers) {
    const opener = answer.kind === 'refused' ? openerOf(answer, answers, maxDepth) : undefined;
    if (opener === undefined) continue;
    const key = opener.tokenIds.join();
    counted.set(key, { opener, count: (counted.get(key)?.count ?? 0) + 1 });
  }
  return [...counted.values()].sort((a, b) => b.count - a.count).map(({ opener }) => opener);
}

function frequentFirstTokens(answers: readonly OpenedAnswer[]): number[] {
  const refusals = answers.filter(({ kind, tokenIds }) => kind === 'refused' && tokenIds.length > 0);
  const counts = new Map<number, number>();
  for (const { tokenIds } of refusals) counts.set(tokenIds[0]!, (counts.get(tokenIds[0]!) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count >= refusals.length * MIN_FIRST_TOKEN_SHARE)
    .sort((a, b) => b[1] - a[1] || a[0] - b[0])
    .map(([token]) => token);
}

/** @param stock the stock openers in the model's tokens; those longer than `maxDepth` are left out. */
export function chooseOpeners(
  answers: readonly OpenedAnswer[],
  stock: readonly Opener[],
  maxDepth: number,
): ChosenOpeners {
  const openers: Opener[] = [];
  const fitting = stock.filter(({ tokenIds }) => tokenIds.length > 0 && tokenIds.length <= maxDepth);
  for (const opener of [...ownOpeners(answers, maxDepth), ...fitting]) {
    const covered = openers.some(({ tokenIds }) => startsWith(opener.tokenIds, tokenIds));
    if (covered || openers.length === MAX_OPENERS || !isPure(opener.tokenIds, answers)) continue;
    const longer = openers.filter(({ tokenIds }) => startsWith(tokenIds, opener.tokenIds));
    for (const redundant of longer) openers.splice(openers.indexOf(redundant), 1);
    openers.push(opener);
  }
  return { openers, firstTokenIds: frequentFirstTokens(answers) };
}
