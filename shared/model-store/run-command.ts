/**
 * Runs one outside command without a shell, keeps the end of what it said, and never leaves it running once the caller
 * has cancelled.
 */
import { spawn } from 'node:child_process';
import { fault } from '../errors/fault.js';

export interface CommandResult {
  /** undefined: the command is not on PATH or cannot be started. */
  readonly exitCode: number | undefined;
  /** Last lines of stdout and stderr together, at most 4,000 characters. */
  readonly output: string;
}

const KEPT_OUTPUT = 4_000;
/** A command that ignores SIGTERM for this long is killed. */
const KILL_AFTER_MS = 2_000;

/** Runs `command[0]` with the rest as arguments. Throws CANCELLED when the signal fires; never throws for a failed command. */
export const runCommand = async (
  command: readonly string[],
  options: { readonly env: NodeJS.ProcessEnv; readonly signal?: AbortSignal },
): Promise<CommandResult> => {
  if (options.signal?.aborted) throw fault('CANCELLED', `${command[0]} was not started: cancelled`);
  const [program, ...args] = command;
  const child = spawn(program!, args, { env: options.env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer) => {
    output = (output + chunk.toString('utf8')).slice(-KEPT_OUTPUT);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  let killTimer: NodeJS.Timeout | undefined;
  const stop = () => {
    child.kill('SIGTERM');
    killTimer = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
  };
  options.signal?.addEventListener('abort', stop, { once: true });
  const exitCode = await new Promise<number | undefined>((resolve) => {
    child.once('error', (cause) => {
      output += cause.message;
      resolve(undefined);
    });
    child.once('close', (code) => resolve(code ?? 128));
  });
  clearTimeout(killTimer);
  options.signal?.removeEventListener('abort', stop);
  if (options.signal?.aborted) throw fault('CANCELLED', `${command[0]} was stopped: cancelled`);
  return { exitCode, output };
};

/** The one line of a command's output that says most: the last one that names an error, else the last one. */
export const summarizeOutput = (output: string): string => {
  const lines = output
    .split(/[\r\n]+/)
    .map((line) => line.trim())
    .filter((line) => line.length > 0);
  return (lines.findLast((line) => /error|fail|denied|not found/i.test(line)) ?? lines.at(-1) ?? 'said nothing').slice(
    0,
    240,
  );
};
