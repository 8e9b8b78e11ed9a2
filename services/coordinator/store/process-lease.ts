/**
 * A lease as a file with the holder's process id and start time. Prevents: two processes that work on one audit, and an audit that stays
 * "running" for ever because its process was killed, even if the system has given the process id to another program since.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { link, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Lease } from './audit-store.js';

interface Holder {
  readonly token: string;
  readonly pid: number;
  readonly host: string;
  /** Clock ticks since boot, from /proc; empty where there is none. */
  readonly startedAt: string;
}

export const acquireProcessLease = async (path: string): Promise<Lease | undefined> => {
  const mine: Holder = { token: randomUUID(), pid: process.pid, host: hostname(), startedAt: startOf(process.pid) };
  // link() fails if the target exists and is atomic, so of two processes exactly one gets it.
  const draft = `${path}.${mine.token}`;
  await writeFile(draft, JSON.stringify(mine), { mode: 0o600 });
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      if (await tryLink(draft, path)) return { release: () => release(path, mine.token) };
      const holder = await readHolder(path);
      if (holder !== undefined && isAlive(holder)) return undefined;
      await rm(path, { force: true });
    }
    return undefined;
  } finally {
    await rm(draft, { force: true });
  }
};

export const isLeaseHeld = async (path: string): Promise<boolean> => {
  const holder = await readHolder(path);
  return holder !== undefined && isAlive(holder);
};

const tryLink = async (draft: string, path: string): Promise<boolean> => {
  try {
    await link(draft, path);
    return true;
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST') return false;
    throw thrown;
  }
};

const release = async (path: string, token: string): Promise<void> => {
  if ((await readHolder(path))?.token === token) await rm(path, { force: true });
};

const readHolder = async (path: string): Promise<Holder | undefined> => {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    // Absent, or cut by a crash: nobody holds it.
    return undefined;
  }
};

/** A holder on another machine cannot be looked at: it counts as alive, and a person removes its lease file. */
const isAlive = (holder: Holder): boolean => {
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM')) return false;
  }
  return holder.startedAt === startOf(holder.pid);
};

/** Field 22 of /proc/PID/stat, counted after the command name, which may hold spaces. */
const startOf = (pid: number): string => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
};
