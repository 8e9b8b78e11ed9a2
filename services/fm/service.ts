/** The handlers: wire types in, fits on the fit thread, wire types out. Generated types stop here and at from-wire and to-wire. */
import { type FitResponse, FmServiceDefinition } from '../../proto/gen/refusalscope/v1/fm.js';
import { type BoundService, bindService } from '../../shared/rpc/start-server.js';
import { encodeMask } from '../../shared/tensors/mask-bits.js';
import { readDesignRequest, readFitRequest } from './from-wire.js';
import type { FitProgress } from './steps.js';
import { streamProgress } from './stream-progress.js';
import type { FitThread } from './thread/thread-messages.js';
import { toFitResult, toProgress } from './to-wire.js';

export const createFmService = (thread: FitThread): BoundService =>
  bindService(FmServiceDefinition, {
    async *fit(wire, { signal }): AsyncGenerator<FitResponse> {
      const request = readFitRequest(wire);
      const events = streamProgress((onProgress: (progress: FitProgress) => void) =>
        thread.run('fit', request, signal, onProgress),
      );
      for await (const event of events)
        yield 'progress' in event
          ? { event: { $case: 'progress', value: toProgress(event.progress) } }
          : { event: { $case: 'result', value: toFitResult(event.result) } };
    },
    designMasks: async (wire, { signal }) => {
      const { rows, columns, values } = await thread.run('design', readDesignRequest(wire), signal);
      const masks = Array.from({ length: rows }, (_, row) => ({
        bits: encodeMask(values.subarray(row * columns, (row + 1) * columns)),
      }));
      return { masks };
    },
  });
