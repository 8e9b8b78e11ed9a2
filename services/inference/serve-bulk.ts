/** The inference process as a worker of the evaluation queue: pulls batches beside the calls that it answers, through the same door. */
import type { Provenance } from '../../proto/gen/refusalscope/v1/types.js';
import { type EvaluateMasks as EvaluateBatch, serveEvaluations } from '../../shared/bus/evaluation-work.js';
import { digestOfModel } from '../../shared/bus/model-digest.js';
import { openBus } from '../../shared/bus/open-bus.js';
import { isFault } from '../../shared/errors/fault.js';
import type { Logger } from '../../shared/log/create-logger.js';
import type { BusConfig } from '../../shared/process/bus-settings.js';
import type { EditLog } from '../../shared/security/edit-log.js';
import { silentTelemetry, type Telemetry } from '../../shared/telemetry/telemetry.js';
import type { EvaluateMasks } from './evaluate-masks.js';

export interface BulkOptions {
  readonly bus: BusConfig;
  readonly modelName: string;
  readonly provenance: Provenance;
  readonly evaluateMasks: EvaluateMasks;
  /** A batch whose worker shows no life for this long goes to another one. */
  readonly ackWaitMs?: number;
  readonly logger: Logger;
  readonly telemetry?: Pick<Telemetry, 'metrics' | 'inSpan'> | undefined;
  /** Where edits are written down; calls are by themselves, batches by this. */
  readonly editLog?: EditLog | undefined;
}

export interface BulkWorker {
  isConnected(): boolean;
  /** Ends what is being computed within the grace time, gives back the rest. */
  stop(graceMs: number): Promise<void>;
}

/** @throws PEER_UNAVAILABLE if no server of the bus answers. */
export const serveBulk = async (options: BulkOptions): Promise<BulkWorker> => {
  const { modelName, provenance, evaluateMasks, ackWaitMs, logger, telemetry = silentTelemetry } = options;
  const bus = await openBus({ ...options.bus, logger, clientName: 'inference', shares: ['blobs'] });
  const model = { name: modelName, digest: digestOfModel(provenance) };
  const evaluate: EvaluateBatch = async function* (request, signal, { id, requester, delivery }) {
    const facts = { workId: id, delivery, evaluations: request.evaluations.length };
    logger.debug(facts, 'batch begun');
    yield* written(options.editLog, { requestId: id, onBehalfOf: requester }, request, evaluateMasks(request, signal));
    logger.debug(facts, 'batch computed');
  };
  try {
    const consumption = await serveEvaluations(bus, model, evaluate, {
      telemetry,
      onSettled: (outcome) => telemetry.metrics.add('refusal.work.items', 1, { outcome }),
      ...(ackWaitMs !== undefined && { ackWaitMs }),
    });
    return {
      isConnected: () => bus.isConnected(),
      stop: async (graceMs) => {
        await consumption.drain(graceMs);
        logger.info({ ...consumption.counts() }, 'batches served');
        await bus.close();
      },
    };
  } catch (thrown) {
    await bus.close();
    throw thrown;
  }
};

const EVALUATE_MASKS = '/refusalscope.v1.InferenceService/EvaluateMasks';

/** The same stream, with a line in the audit log before it and one after. */
async function* written<Item>(
  editLog: EditLog | undefined,
  source: { readonly requestId: string; readonly onBehalfOf: string },
  request: unknown,
  items: AsyncIterable<Item>,
): AsyncGenerator<Item> {
  const begun = await editLog?.begin(EVALUATE_MASKS, request, { ...source, subject: 'queue' });
  let outcome = 'CANCELLED';
  try {
    yield* items;
    outcome = 'OK';
  } catch (thrown) {
    outcome = isFault(thrown) ? thrown.code : 'INTERNAL';
    throw thrown;
  } finally {
    await begun?.end(outcome);
  }
}
