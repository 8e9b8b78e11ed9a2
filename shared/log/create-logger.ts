/**
 * One logger with child fields; the only door to pino. Values under names that mean a secret or the text of a prompt or an answer
 * are replaced before they are written, at any of the depths that our objects have.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { traceFields } from '../telemetry/trace-fields.js';

export type Logger = PinoLogger;
export type LogDestination = DestinationStream;

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const HIDDEN_NAMES = ['token', 'secret', 'password', 'authorization', 'apiKey', 'prompt', 'text', 'answer'];
// pino's wildcard stands for exactly one level.
const redact = {
  paths: HIDDEN_NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`, `*.*.*.${name}`]),
  censor: '[hidden]',
};

/** Lines of JSON on stderr (stdout belongs to results), or to `destination`. `service` stands in every line. */
export const createLogger = (service: string, level: LogLevel = 'info', destination?: DestinationStream): Logger =>
  pino(
    { base: { service }, level, redact, mixin: traceFields, timestamp: pino.stdTimeFunctions.isoTime },
    destination ?? pino.destination({ dest: 2, sync: true }),
  );

export const silentLogger: Logger = pino({ level: 'silent' });
