/**
 * The content address of an evaluation: sha256 over the model, the prompt's tokens, the score spec, and the edits that are on by
 * their own numbers. Whatever else a request holds (ids, names, edits that are off, order) leaves it unchanged; this is what makes
 * resume exact and repeats free. A change of its layout needs a new version in the text, or old checkpoints would be misread.
 */
import { createHash } from 'node:crypto';
import type { Bank } from './bank.js';
import type { ScoreSpec, TokenizedPrompt } from './model-port.js';

const VERSION = 'refusalscope evaluation 1';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export const digestOfPrompt = ({ tokenIds, instructionStart }: TokenizedPrompt): string =>
  sha256(`prompt ${instructionStart} ${tokenIds.join(',')}`);

/** Openers and first tokens count as sets: their order does not change a score. */
export const digestOfScore = (score: ScoreSpec): string => {
  const openers = score.openers.map((opener) => opener.join(',')).sort();
  const first = [...score.firstTokenIds].sort((a, b) => a - b);
  return sha256(`score ${openers.join(';')} first ${first.join(',')} i ${score.iTokenId}`);
};

/** Everything of a key but its edits, hashed once a prompt. */
export const keyPrefix = (modelDigest: string, promptDigest: string, scoreDigest: string): string =>
  `${VERSION}\n${modelDigest}\n${promptDigest}\n${scoreDigest}\n`;

/** @param on indices of the bank's edits, in any order, without repeats. @returns lower-case hex. */
export function keyOf(prefix: string, bank: Bank, on: readonly number[]): string {
  const hash = createHash('sha256').update(prefix);
  for (const edit of [...on].sort((a, b) => bank.rank[a]! - bank.rank[b]!)) hash.update(bank.identities[edit]!);
  return hash.digest('hex');
}
