/**
 * The entry of the fit thread: fits, and mask designs. Fits take turns of a few milliseconds each, so that a short one is not held up by a long one, and a
 * cancelled one ends at its next turn.
 */
import { serveJobs } from '../../../shared/threads/serve-jobs.js';
import { fitWithBaseline } from '../fit-with-baseline.js';
import { buildMaskDesign } from '../mask-designs.js';
import { runSteps } from '../steps.js';
import type { Jobs } from './thread-messages.js';

/** Small fits pass thousands of epochs a second; a caller is told at most this often. */
const MIN_PROGRESS_GAP_MS = 50;

const throttle = <T>(send: (value: T) => void): ((value: T) => void) => {
  let last = Number.NEGATIVE_INFINITY;
  return (value) => {
    const now = performance.now();
    if (now - last < MIN_PROGRESS_GAP_MS) return;
    last = now;
    send(value);
  };
};

await serveJobs<Jobs>(() => ({
  ready: true,
  handlers: {
    fit: (request, { emit, signal }) => runSteps(fitWithBaseline(request), { signal, onProgress: throttle(emit) }),
    design: (options, { checkpoint }) => buildMaskDesign(options, checkpoint),
  },
}));
