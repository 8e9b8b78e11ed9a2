/** A process of the bench: plants, searches and scores what it is told, one seed after the other, until its parent lets go. */

import { isFault } from '../../shared/errors/fault.js';
import { runSeed } from './run-seed.js';
import type { SeedAnswer, SeedTask } from './seed-pool.js';

process.on('message', ({ mechanism, seed }: SeedTask) => {
  runSeed(mechanism, seed).then(
    (run) => answer({ run }),
    (problem: unknown) => answer({ problem: textOf(problem) }),
  );
});

/** A fault of ours explains itself; anything else is a defect, and where it comes from matters. */
const textOf = (problem: unknown): string =>
  isFault(problem) ? problem.message : problem instanceof Error ? (problem.stack ?? problem.message) : String(problem);

const answer = (message: SeedAnswer): void => void process.send?.(message);
