import { describe, expect, it } from 'vitest';
import type { AuditFact } from '../../../services/coordinator/audit/audit-event.js';
import { againWhenPeersReturn } from '../../../services/coordinator/audit/await-peers.js';
import { fault } from '../../../shared/errors/fault.js';

const patience = (waitUntilReady: () => Promise<void> = async () => undefined) => {
  const facts: AuditFact[] = [];
  const stop = new AbortController();
  const emit = (fact: AuditFact) => void facts.push(fact);
  return { facts, stop, options: { peers: { waitUntilReady }, peerReturnMs: 1, signal: stop.signal, emit } };
};
const away = (): never => {
  throw fault('PEER_UNAVAILABLE', 'Nobody answers at 127.0.0.1:1.');
};

describe('a stage whose peer went away', () => {
  it('runs again once all peers answer, and says so', async () => {
    const { facts, options } = patience();
    let runs = 0;
    expect(await againWhenPeersReturn(options, async () => (++runs < 3 ? away() : 'done'))).toBe('done');
    expect(facts).toHaveLength(2);
    expect(facts[0]).toMatchObject({
      kind: 'warning',
      code: 'PEER_AWAY',
      text: expect.stringContaining('127.0.0.1:1'),
    });
  });

  it('fails if the peer stays away, comes and goes too often, or the fault is another', async () => {
    await expect(againWhenPeersReturn(patience(async () => away()).options, async () => away())).rejects.toThrow(
      expect.objectContaining({ code: 'PEER_UNAVAILABLE' }),
    );
    let runs = 0;
    const coming = async () => {
      runs += 1;
      return away();
    };
    await expect(againWhenPeersReturn(patience().options, coming)).rejects.toThrow(/Nobody answers/);
    expect(runs).toBe(4);
    const { facts, options } = patience();
    const other = async () => Promise.reject(fault('REQUEST_INVALID', 'no'));
    await expect(againWhenPeersReturn(options, other)).rejects.toThrow('no');
    expect(facts).toEqual([]);
  });

  it('ends with the audit while it waits', async () => {
    const { stop, options } = patience(() => new Promise(() => undefined));
    const waiting = againWhenPeersReturn(options, async () => away());
    setTimeout(() => stop.abort('cancelled'), 10);
    await expect(waiting).rejects.toBe('cancelled');
  });
});
