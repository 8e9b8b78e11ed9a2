/** The processes of a run: started here, watched, and all gone at its end, whatever the end is. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import type { LoopbackProcess } from './loopback.js';

const STOP_LIMIT_MS = 15_000;
const TOLD_CHARS = 1_000;

export class ChildProcesses {
  private readonly running = new Map<string, ChildProcess>();
  private readonly killed = new WeakSet<ChildProcess>();
  private stopping = false;

  constructor(private readonly logFolder: string) {}

  /** @param onEnd told when a process ends that nobody has stopped */
  async start(name: string, { args, environment }: LoopbackProcess, onEnd: (why: string) => void): Promise<void> {
    const child = await this.spawn(name, args, environment);
    child.once('close', (code, signal) => {
      this.running.delete(name);
      // The folder of the logs goes with the run, so the last words are told here.
      const said = readFileSync(this.logOf(name), 'utf8').slice(-TOLD_CHARS);
      if (!this.stopping && !this.killed.has(child))
        onEnd(`${name} ended by itself (${signal ?? `exit code ${code}`}): ${said}`);
    });
  }

  /** kill -9. Resolves once it is gone; nobody is told that it ended. */
  async kill(name: string): Promise<void> {
    const child = this.running.get(name);
    if (child === undefined) throw new Error(`${name} does not run`);
    this.killed.add(child);
    const gone = once(child, 'close');
    child.kill('SIGKILL');
    await gone;
  }

  /** Runs a process to its end. Gives its exit code. */
  async runToEnd(name: string, { args, environment }: LoopbackProcess): Promise<number> {
    const child = await this.spawn(name, args, environment);
    return new Promise((resolve) => {
      child.once('exit', (code) => {
        this.running.delete(name);
        resolve(code ?? 1);
      });
    });
  }

  /** Asks all to stop, in the opposite order of their start, and makes them after a while. */
  async stopAll(): Promise<void> {
    this.stopping = true;
    for (const child of [...this.running.values()].reverse()) await stop(child);
    this.running.clear();
  }

  /** For the end of the process, where nothing can be waited for. */
  killAll(): void {
    for (const child of this.running.values()) child.kill('SIGKILL');
  }

  private logOf(name: string): string {
    return join(this.logFolder, `${name}.log`);
  }

  private async spawn(name: string, args: readonly string[], environment: LoopbackProcess['environment']) {
    await mkdir(this.logFolder, { recursive: true });
    const log = createWriteStream(this.logOf(name), { flags: 'a' });
    const child = spawn(process.execPath, args, {
      cwd: projectRoot,
      env: environment,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    child.once('close', () => log.end());
    this.running.set(name, child);
    return child;
  }
}

const stop = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    const limit = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
    child.once('exit', () => {
      clearTimeout(limit);
      resolve();
    });
    child.kill('SIGTERM');
  });
