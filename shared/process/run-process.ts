/**
 * The frame of every service's main.ts: settings, edge, start, and one stop on SIGTERM or SIGINT within the grace time. Ends with a plain
 * line and an exit code when it cannot start. Prevents: a pod that dies without its checkpoint, or hangs in a stop that does not end.
 */
import type { Environment } from '../config/load-config.js';
import { isFault } from '../errors/fault.js';
import { createLogger, type Logger } from '../log/create-logger.js';
import type { Edge } from '../rpc/edge.js';
import type { EdgeSettings } from './edge-settings.js';
import { openEdge } from './open-edge.js';

export interface ProcessSettings {
  readonly edge: EdgeSettings;
}

export interface ProcessParts {
  readonly logger: Logger;
  readonly edge: Edge;
}

interface Running {
  readonly address: string;
  stop(): Promise<void>;
}

const EXIT_FAILED = 1;
// After the grace time of calls: for checkpoints, threads and the last spans.
const STOP_MARGIN_MS = 10_000;

export const runProcess = async <Settings extends ProcessSettings>(
  name: string,
  load: (environment: Environment) => Settings,
  start: (settings: Settings, parts: ProcessParts) => Promise<Running>,
): Promise<void> => {
  const opened: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of opened.splice(0).reverse()) await one();
  };
  try {
    const settings = load(process.env);
    const logger = createLogger(name, settings.edge.REFUSALSCOPE_LOG_LEVEL);
    failLoudly(logger);
    const edge = await openEdge(name, settings.edge, logger);
    opened.push(() => edge.close());
    stopOnSignal(logger, settings.edge.REFUSALSCOPE_GRACE_S * 1000 + STOP_MARGIN_MS, close);
    const running = await start(settings, { logger, edge });
    opened.push(() => running.stop());
    logger.info({ address: running.address }, 'serving');
  } catch (thrown) {
    process.stderr.write(`${name} cannot start. ${textOf(thrown)}\n`);
    await close().catch(() => undefined);
    process.exit(EXIT_FAILED);
  }
};

const textOf = (thrown: unknown): string => {
  if (isFault(thrown)) return `${thrown.code}: ${thrown.message}`;
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
};

/** A defect ends the process, as its state cannot be trusted; it ends with a line in the log. */
const failLoudly = (logger: Logger): void => {
  process.on('uncaughtException', (defect) => {
    logger.fatal({ err: defect }, 'the process ends on a defect');
    process.exit(EXIT_FAILED);
  });
};

const stopOnSignal = (logger: Logger, limitMs: number, close: () => Promise<void>): void => {
  let isStopping = false;
  const stop = async (signal: string): Promise<void> => {
    if (isStopping) return;
    isStopping = true;
    logger.info({ signal }, 'stopping');
    setTimeout(() => {
      logger.error({ limitMs }, 'the stop did not end in time');
      process.exit(EXIT_FAILED);
    }, limitMs).unref();
    await close();
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
};
