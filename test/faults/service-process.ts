/** A service as a process of its own, heard line by line through its log, to which real harm can be done. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { projectRoot } from '../../shared/project/root.js';

export interface LogLine {
  readonly msg: string;
  /** Monotonic ms of this process at which it was heard. */
  readonly at: number;
  readonly workId?: string;
  readonly delivery?: number;
  readonly evaluations?: number;
  readonly auditId?: string;
}

export interface ServiceProcess {
  readonly name: string;
  readonly pid: number;
  readonly lines: readonly LogLine[];
  /** The first line from `fromAt` on that fits. @throws with its last words if the process ends first or the time is over. */
  until(fits: (line: LogLine) => boolean, fromAt?: number, limitMs?: number): Promise<LogLine>;
  signal(signal: NodeJS.Signals): void;
  kill(signal?: NodeJS.Signals): Promise<void>;
  readonly exited: Promise<void>;
}

const KEPT_CHARS = 4_000;
// A real model on a machine that is full takes minutes.
const START_LIMIT_MS = 240_000;
const POLL_MS = 2;

export const startService = async (
  name: string,
  service: string,
  environment: Readonly<Record<string, string>>,
  nodeFlags: readonly string[] = [],
): Promise<ServiceProcess> => {
  const main = join(projectRoot, 'dist', 'services', service, 'main.js');
  const child: ChildProcess = spawn(process.execPath, [...nodeFlags, main], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Whatever ends this process must not leave others behind.
  const killAtEnd = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtEnd);
  const lines: LogLine[] = [];
  let said = '';
  let isGone = false;
  createInterface({ input: child.stderr! }).on('line', (text) => {
    said = `${said}${text}\n`.slice(-KEPT_CHARS);
    const line = parse(text);
    if (line !== undefined) lines.push(line);
  });
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => {
      isGone = true;
      process.off('exit', killAtEnd);
      resolve();
    });
  });
  const until: ServiceProcess['until'] = async (fits, fromAt = 0, limitMs = START_LIMIT_MS) => {
    const deadline = performance.now() + limitMs;
    for (let seen = 0; ; ) {
      for (; seen < lines.length; seen++) if (lines[seen]!.at >= fromAt && fits(lines[seen]!)) return lines[seen]!;
      if (isGone || performance.now() > deadline) {
        throw new Error(`${name} ${isGone ? 'ended' : 'did not say what was waited for'}. Its last words:\n${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  };
  const running: ServiceProcess = {
    name,
    pid: child.pid ?? 0,
    lines,
    until,
    exited,
    signal: (signal) => void child.kill(signal),
    kill: async (signal = 'SIGKILL') => {
      if (!isGone) child.kill(signal);
      await exited;
    },
  };
  await until(({ msg }) => msg === 'serving');
  return running;
};

const parse = (text: string): LogLine | undefined => {
  try {
    return { ...(JSON.parse(text) as Omit<LogLine, 'at'>), at: performance.now() };
  } catch {
    return undefined;
  }
};
