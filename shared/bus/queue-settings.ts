/** A work queue's settings, complete. */
import { type Fault, fault } from '../errors/fault.js';
import type { WorkQueueSettings } from './bus.js';
import { assertName } from './subjects.js';

export type ResolvedQueueSettings = Required<WorkQueueSettings>;

const DAY_MS = 86_400_000;

/** @throws REQUEST_INVALID for a bad name */
export const queueSettings = (settings: WorkQueueSettings): ResolvedQueueSettings => ({
  name: assertName('The queue name', settings.name),
  maxItems: settings.maxItems ?? 10_000,
  maxItemsPerRequester: settings.maxItemsPerRequester ?? 1_000,
  outcomeAgeMs: settings.outcomeAgeMs ?? DAY_MS,
});

/** @param requester undefined: the queue as a whole is full. */
export const queueFull = (settings: ResolvedQueueSettings, requester: string | undefined): Fault => {
  const who = requester === undefined ? '' : ` of ${requester}`;
  const limit = requester === undefined ? settings.maxItems : settings.maxItemsPerRequester;
  return fault('BUSY', `The queue ${settings.name} holds ${limit} items${who}, which is its limit: try again later.`);
};
