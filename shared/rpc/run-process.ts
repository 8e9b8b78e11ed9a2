/**
 * The frame of every service's main.ts: starts the service, stops it once on SIGTERM or SIGINT, and ends with a plain line and an exit code
 * when it cannot start. Prevents: a pod that dies without its checkpoint, or hangs in a stop that does not end.
 */
import { isFault } from '../errors/fault.js';

interface Stoppable {
  stop(): Promise<void>;
}

// Kubernetes kills after 30 s by default; this leaves time for the log to be written.
const STOP_LIMIT_MS = 25_000;
const EXIT_CANNOT_START = 1;

export const runProcess = async (name: string, start: () => Promise<Stoppable>): Promise<void> => {
  let running: Stoppable;
  try {
    running = await start();
  } catch (thrown) {
    const text = isFault(thrown)
      ? `${thrown.code}: ${thrown.message}`
      : thrown instanceof Error
        ? thrown.stack
        : thrown;
    process.stderr.write(`${name} cannot start. ${text}\n`);
    process.exit(EXIT_CANNOT_START);
  }
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    setTimeout(() => process.exit(EXIT_CANNOT_START), STOP_LIMIT_MS).unref();
    await running.stop();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop());
};
