/**
 * A lock between processes, as one file in a folder: spares a second process that starts at the same moment from fetching the
 * same file again. It saves work and no more: whoever holds it still ends with an atomic rename of a checked file, so a
 * lock lost to a paused process costs a second fetch, never a wrong file.
 */
import { randomUUID } from 'node:crypto';
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

const HEARTBEAT_MS = 2_000;
/** Ten missed heartbeats: the holder is dead or on a stopped machine. */
const STALE_MS = 20_000;
const POLL_MS = 200;

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code === 'EPERM';
  }
};

const isStale = async (path: string): Promise<boolean> => {
  const { mtimeMs } = await stat(path);
  if (Math.abs(Date.now() - mtimeMs) > STALE_MS) return true;
  const [host, pid] = (await readFile(path, 'utf8')).split(' ');
  return host === hostname() && pid !== undefined && !isAlive(Number(pid));
};

const tryTake = async (path: string, owner: string): Promise<boolean> => {
  try {
    await writeFile(path, owner, { flag: 'wx' });
    return true;
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown;
  }
  if (await isStale(path).catch(() => false)) await rm(path, { force: true });
  return false;
};

/** Runs `work` while holding the lock file `path`; `onWait` is called once where another process holds it. */
export const withLock = async <T>(
  path: string,
  work: () => Promise<T>,
  options: { readonly onWait?: () => void; readonly signal?: AbortSignal } = {},
): Promise<T> => {
  const owner = `${hostname()} ${process.pid} ${randomUUID()}`;
  let told = false;
  while (!(await tryTake(path, owner))) {
    if (!told) options.onWait?.();
    told = true;
    await sleep(POLL_MS, undefined, { signal: options.signal });
  }
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    const holder = await readFile(path, 'utf8').catch(() => '');
    if (holder === owner) await rm(path, { force: true });
  }
};
