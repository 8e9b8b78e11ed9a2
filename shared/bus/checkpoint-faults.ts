/** What both engines say when a checkpoint is not written. */
import { type Fault, fault } from '../errors/fault.js';
import type { PutOptions } from './bus.js';

export const revisionConflict = (bucket: string, key: string, expected: number): Fault =>
  fault(
    'REVISION_CONFLICT',
    `The checkpoint "${key}" in ${bucket} was not written: its revision is no longer ${expected}. Read it again.`,
  );

export const fenceLost = (bucket: string, key: string): Fault =>
  fault(
    'REVISION_CONFLICT',
    `The checkpoint "${key}" in ${bucket} was not written: another process has taken the lease since. Stop this work.`,
  );

/** @throws REQUEST_INVALID: the server takes one condition a write. */
export const assertRevisionOrFence = ({ revision, fence }: PutOptions): void => {
  if (revision === undefined || fence === undefined) return;
  throw fault('REQUEST_INVALID', 'A checkpoint is written under a revision or a fence, not both: give one of them.');
};
