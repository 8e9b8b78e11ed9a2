/**
 * Takes the text of answers out of responses for callers without the scope `completions`: text, token ids (which are text by another
 * name) and first words. Scores, verdicts, hashes and proofs stay. Reports are redacted where they are read.
 */
import type { GenerateResponse } from '../../proto/gen/refusalscope/v1/inference.js';
import type { CalibrateOpenersResponse, VerifyFlipsResponse } from '../../proto/gen/refusalscope/v1/search.js';

type Redactor = (response: never) => unknown;

const redactGenerate = (response: GenerateResponse): GenerateResponse => ({ ...response, text: '', tokenId: 0 });

const withoutFirstWords = <Item extends { readonly judgement?: { firstWords: string } | undefined }>(
  item: Item,
): Item => (item.judgement === undefined ? item : { ...item, judgement: { ...item.judgement, firstWords: '' } });

const redactCalibration = (response: CalibrateOpenersResponse): CalibrateOpenersResponse => {
  if (response.event?.$case !== 'result') return response;
  const { value } = response.event;
  return { event: { $case: 'result', value: { ...value, baselines: value.baselines.map(withoutFirstWords) } } };
};

const redactFlips = (response: VerifyFlipsResponse): VerifyFlipsResponse => {
  if (response.event?.$case !== 'result') return response;
  const { value } = response.event;
  return { event: { $case: 'result', value: { ...value, flips: value.flips.map(withoutFirstWords) } } };
};

const REDACTORS: Readonly<Record<string, Redactor>> = {
  '/refusalscope.v1.InferenceService/Generate': redactGenerate,
  '/refusalscope.v1.SearchService/CalibrateOpeners': redactCalibration,
  '/refusalscope.v1.SearchService/VerifyFlips': redactFlips,
};

/** The response without text of answers; itself where its method shows none. */
export const redactResponse = <Response>(path: string, response: Response): Response => {
  const redact = REDACTORS[path];
  return redact === undefined ? response : (redact(response as never) as Response);
};
