/**
 * Load time and memory of one model in one weight mode, in a process of its own. Memory is read from /proc: anonymous pages are what
 * the process holds, file pages are mapped weights, which the system can drop at any time.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

interface Memory {
  readonly anonymous: number;
  readonly file: number;
}

export interface MeasuredLoad {
  readonly mode: string;
  readonly loadSeconds: number;
  /** Highest anonymous memory before loading ended, above what was left after. */
  readonly extraWhileLoadingMb: number;
  readonly afterLoadMb: number;
  readonly peakMb: number;
  readonly filePagesMb: number;
  readonly secondsOf256Tokens: number;
  readonly secondsOf1Token: number;
}

const POLL_MS = 5;

function memoryOf(pid: number): Memory | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/status`, 'utf8');
    const mb = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(text)?.[1] ?? 0) * 1024e-6;
    return { anonymous: mb('RssAnon'), file: mb('RssFile') };
  } catch {
    // The child has ended.
    return undefined;
  }
}

/** What a whole run of the bench times: prompts of these lengths, twice each so that the second finds everything in place. */
export const RUN_LENGTHS: readonly number[] = [256, 256, 1, 1];

/** `mode` is a WeightMode. */
export async function measureLoad(
  folder: string,
  mode: string,
  threads: string,
  lengths: readonly number[] = RUN_LENGTHS,
): Promise<MeasuredLoad> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('./load-once.js', import.meta.url)), folder, mode, threads, ...lengths.map(String)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const seconds: Record<string, number> = {};
  let [idle, loaded, loadPeak, peak, files] = [0, 0, 0, 0, 0];
  const poll = setInterval(() => {
    const memory = memoryOf(child.pid as number);
    if (memory === undefined) return;
    peak = Math.max(peak, memory.anonymous);
    files = Math.max(files, memory.file);
    if (seconds.load === undefined) loadPeak = peak;
  }, POLL_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    const { part, seconds: taken } = JSON.parse(line) as { part: string; seconds: number };
    seconds[part] = taken;
    if (part === 'idle') idle = memoryOf(child.pid as number)?.anonymous ?? 0;
    if (part === 'load') loaded = memoryOf(child.pid as number)?.anonymous ?? 0;
  }
  clearInterval(poll);
  return {
    mode,
    loadSeconds: seconds.load,
    extraWhileLoadingMb: loadPeak - Math.max(loaded, idle),
    afterLoadMb: loaded - idle,
    peakMb: peak - idle,
    filePagesMb: files,
    secondsOf256Tokens: seconds['256 tokens'],
    secondsOf1Token: seconds['1 tokens'],
  };
}
