/**
 * Takes the text of answers out of responses for callers without the scope `completions`: text, token ids (which are text by another
 * name) and first words. Scores, verdicts, hashes and proofs stay. Reports are redacted where they are read.
 */
import type { GenerateResponse } from '../../proto/gen/refusalscope/v1/inference.js';

const GENERATE = '/refusalscope.v1.InferenceService/Generate';
const SEARCH = '/refusalscope.v1.SearchService/';

/** The response without text of answers; itself where its method shows none. */
export const redactResponse = <Response>(path: string, response: Response): Response => {
  if (path === GENERATE) {
    const redacted: GenerateResponse = { ...(response as GenerateResponse), text: '', tokenId: 0 };
    return redacted as Response;
  }
  // Judgements stand at several places of search's results, and in new ones tomorrow: they are found by their field.
  return path.startsWith(SEARCH) ? (withoutFirstWords(response) as Response) : response;
};

/** A copy of plain messages and lists with every `firstWords` empty. Bytes and numbers are shared. */
export const withoutFirstWords = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutFirstWords);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, name === 'firstWords' ? '' : withoutFirstWords(inner)]),
  );
};
