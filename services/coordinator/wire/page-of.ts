/** Pages of a list that is newest first. The token is the id of the last audit shown, so new audits do not shift the pages. */
import { fault } from '../../../shared/errors/fault.js';
import type { AuditRecord } from '../audit/audit-record.js';

const DEFAULT_SIZE = 100;
const MAX_SIZE = 1000;

export interface Page {
  readonly items: readonly AuditRecord[];
  /** Empty on the last page. */
  readonly nextToken: string;
}

/** Throws REQUEST_INVALID for a size over 1000 or a token that no page gave. */
export const pageOf = (records: readonly AuditRecord[], size: number, token: string): Page => {
  if (size > MAX_SIZE) throw fault('REQUEST_INVALID', `page_size is ${size}; at most ${MAX_SIZE} are taken.`);
  const last = records.findIndex((record) => record.id === token);
  if (token !== '' && last < 0) throw fault('REQUEST_INVALID', 'page_token was not given by an earlier page.');
  const items = records.slice(last + 1, last + 1 + (size || DEFAULT_SIZE));
  const isLast = last + 1 + items.length >= records.length;
  return { items, nextToken: isLast ? '' : (items.at(-1)?.id ?? '') };
};
