/** Starts the engine's thread, which holds the model. */
import { startJobThread } from '../../../shared/threads/start-job-thread.js';
import type { EngineOptions, EngineThread, Jobs, LoadingEngine, ReadyEngine } from './messages.js';

/** Calls at once; the evaluations among them have a bound of their own (limits.ts). */
const MAX_JOBS = 4096;

/** Resolves once the model is loaded and measured. `onEnd` is called if the thread ends by itself afterwards. */
export const startEngineThread = (
  options: EngineOptions,
  onLoading: (done: number, total: number) => void,
  onEnd: (problem: Error) => void,
): Promise<EngineThread> =>
  startJobThread<Jobs, ReadyEngine, LoadingEngine>({
    entry: new URL('./engine-thread.js', import.meta.url),
    name: 'inference',
    data: options,
    maxJobs: MAX_JOBS,
    onLoading: ({ done, total }) => onLoading(done, total),
    onEnd,
  });
