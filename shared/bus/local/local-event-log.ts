/** Audit events in memory, with the numbering rule of the JetStream engine: the next sequence or nothing. */
import type { EventLog, ReadEventsOptions, StoredEvent } from '../bus.js';
import { wrongSequence } from '../event-faults.js';
import { assertMessageSize } from '../message-limits.js';
import { assertName } from '../subjects.js';
import { createWakeUp, type WakeUp } from '../wake-up.js';

// Only a net under the ring of each append.
const POLL_MS = 5_000;

export const createLocalEventLog = (closed: AbortSignal): EventLog => {
  const audits = new Map<string, StoredEvent[]>();
  const followers = new Set<WakeUp>();
  const eventsOf = (auditId: string): StoredEvent[] => audits.get(assertName('The audit id', auditId)) ?? [];

  async function* read(auditId: string, options: ReadEventsOptions = {}): AsyncGenerator<StoredEvent> {
    const wakeUp = createWakeUp();
    followers.add(wakeUp);
    const signal = options.signal === undefined ? closed : AbortSignal.any([closed, options.signal]);
    let after = options.afterSequence ?? 0;
    try {
      while (!signal.aborted) {
        const fresh = eventsOf(auditId).slice(after);
        for (const stored of fresh) {
          if (signal.aborted) return;
          after = stored.sequence;
          yield stored;
        }
        if (fresh.length > 0) continue;
        if (options.follow !== true) return;
        await wakeUp.wait(POLL_MS, signal);
      }
    } finally {
      followers.delete(wakeUp);
    }
  }

  return {
    append: async (auditId, sequence, event) => {
      assertMessageSize('The event', event);
      const events = eventsOf(auditId);
      const existing = events[sequence - 1];
      if (existing !== undefined && Buffer.compare(existing.event, event) === 0) return;
      if (sequence !== events.length + 1) throw wrongSequence(auditId, sequence, events.length);
      audits.set(auditId, [...events, { sequence, event: event.slice() }]);
      for (const follower of followers) follower.ring();
    },
    read,
    remove: async (auditId) => {
      audits.delete(auditId);
    },
  };
};
