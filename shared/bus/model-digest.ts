/** One digest of everything about a model that decides a score, made the same way by whoever asks and by the pods that answer. */
import type { Provenance } from '../../proto/gen/refusalscope/v1/types.js';
import { contentId } from './content-id.js';

/** Lower-case hex sha256 over weights, adapter, tokenizer, template and dtype. The device is not part of it. */
export const digestOfModel = (provenance: Provenance): string => {
  const { weightsSha256, adapterSha256, tokenizerSha256, chatTemplateSha256, computeDtype } = provenance;
  const parts = [weightsSha256, adapterSha256, tokenizerSha256, chatTemplateSha256, computeDtype];
  return contentId(Buffer.from(`model 1\n${parts.join('\n')}\n`, 'utf8'));
};
