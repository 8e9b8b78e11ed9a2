/**
 * Faults that hit whoever leads: processes contend for a lease and count under its fence. Every number must be written exactly once: a
 * number that is missing was lost, one that comes twice was written by two holders at a time.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { startNatsServer } from '../fixtures/nats/nats-server.js';
import { type StartedProcess, startProcess } from '../fixtures/nats/start-process.js';
import type { FaultResult } from './fault-result.js';

const LEADER = new URL('../fixtures/nats/leader-worker.js', import.meta.url);
const CLOCK = new URL('../fixtures/nats/shifted-clock.js', import.meta.url);
const TERM_MS = 1_500;

type Harm = (holder: StartedProcess) => Promise<void>;

const withTwoLeaders = async (harm: Harm): Promise<Omit<FaultResult, 'name' | 'what' | 'also'>> => {
  const server = await startNatsServer();
  const namespace = `leader-${randomUUID()}`;
  const start = (holder: string, clockShiftMs: number): StartedProcess => {
    const own = { BUS_SERVERS: server.url, BUS_NAMESPACE: namespace, HOLDER: holder, TERM_MS: `${TERM_MS}` };
    return startProcess(LEADER, { ...own, CLOCK_SHIFT_MS: `${clockShiftMs}` }, ['--import', CLOCK.href]);
  };
  const first = start('one', 0);
  await first.until((line) => line === 'holds');
  const second = start('two', -3_600_000);
  try {
    await first.until((line) => line === 'wrote 50');
    const from = performance.now();
    await harm(first);
    await second.until((line) => line === 'holds');
    const recovered = performance.now();
    await sleep(TERM_MS);
    const written = [first, second].flatMap((one) => numbersAfter('wrote ', one));
    // A number may be stored and its writer killed before it said so: the next holder has found it.
    const known = new Set([...written, ...numbersAfter('found ', second)].filter((number) => number > 0));
    return {
      report_identical: written.length === new Set(written).size,
      lost: Math.max(...known) - known.size,
      redone: written.length - new Set(written).size,
      recovery_s: (recovered - from) / 1000,
    };
  } finally {
    await Promise.all([first.kill('SIGKILL'), second.kill('SIGKILL')]);
    await server.close();
  }
};

const numbersAfter = (verb: string, { lines }: StartedProcess): number[] =>
  lines.filter((line) => line.startsWith(verb)).map((line) => Number(line.slice(verb.length)));

export const killedLeader = async (): Promise<FaultResult> => ({
  name: 'killed-leader',
  what: 'kill -9 the process that holds the lease; the clock of the one that waits is an hour behind',
  ...(await withTwoLeaders((holder) => holder.kill('SIGKILL'))),
  also: `a lease stands for ${TERM_MS / 1000} s`,
});

export const frozenLeader = async (): Promise<FaultResult> => ({
  name: 'frozen-leader',
  what: `freeze the holder for ${(2 * TERM_MS) / 1000} s, so that it wakes up as if it still led`,
  ...(await withTwoLeaders(async (holder) => {
    process.kill(holder.pid, 'SIGSTOP');
    setTimeout(() => process.kill(holder.pid, 'SIGCONT'), 2 * TERM_MS);
  })),
  also: 'what it then writes is refused by its fence',
});
