/** One text for calls that end because their caller gave up. */
import { fault } from '../errors/fault.js';

/** @throws CANCELLED */
export const thrownIfAborted = (signal: AbortSignal | undefined): void => {
  if (signal?.aborted === true) throw fault('CANCELLED', 'The caller stopped waiting for the bus.');
};
