/** What both engines of the bus promise. Each engine's test file calls this with a way to open a bus of its own. */
import { describeBlobs } from './contract/blobs.js';
import { describeCheckpoints } from './contract/checkpoints.js';
import { describeEvaluations } from './contract/evaluations.js';
import { describeEventLog } from './contract/event-log.js';
import type { OpenBus } from './contract/kit.js';
import { describeLeaderLock } from './contract/leader-lock.js';
import { describeWorkQueue } from './contract/work-queue.js';

export const describeBusContract = (engine: string, openBus: OpenBus): void => {
  describeWorkQueue(engine, openBus);
  describeEventLog(engine, openBus);
  describeCheckpoints(engine, openBus);
  describeLeaderLock(engine, openBus);
  describeBlobs(engine, openBus);
  describeEvaluations(engine, openBus);
};
