/**
 * The model port with evaluations over the bus: batches go to the work queue, for whichever inference pod is free, and everything else
 * stays a call. Prevents: one pod that computes all of an audit because one connection leads to it.
 */
import type { EditBank } from '../../../proto/gen/refusalscope/v1/types.js';
import type { Bus } from '../../../shared/bus/bus.js';
import { evaluationQueueName, publishEvaluations, type ServedModel } from '../../../shared/bus/evaluation-work.js';
import { digestOfModel } from '../../../shared/bus/model-digest.js';
import { queueFacts } from '../../../shared/bus/queue-facts.js';
import { fault } from '../../../shared/errors/fault.js';
import { currentAudit } from '../../../shared/rpc/caller-header.js';
import { streamOf } from '../../../shared/streams/stream-of.js';
import type { Telemetry } from '../../../shared/telemetry/telemetry.js';
import type { Bank } from '../model/bank.js';
import type { AnsweredEvaluation, EvaluationBatch, RefusalModel } from '../model/model-port.js';
import { decodeResult, encodeBank, encodeEvaluations, type InferenceClient } from './inference-client.js';

/** Takes its turn as one, where a caller names no audit. */
const NO_AUDIT = 'no-audit';

export interface BulkOptions {
  readonly bus: Bus;
  /** Where each request to the queue has a span, from its first item to its last answer. */
  readonly telemetry: Pick<Telemetry, 'inSpan'>;
}

/** @param direct for everything but evaluations */
export const createBulkModel = (
  direct: RefusalModel,
  client: InferenceClient,
  { bus, telemetry }: BulkOptions,
): RefusalModel => {
  // One object a bank: the bus stores a bank once and knows it again by the object.
  const banks = new WeakMap<Bank, EditBank>();
  let served: Promise<ServedModel> | undefined;
  const servedModel = (signal: AbortSignal): Promise<ServedModel> => {
    served ??= describeServed(client, signal);
    served.catch(() => {
      served = undefined;
    });
    return served;
  };
  const bankOf = (bank: Bank): EditBank => {
    const encoded = banks.get(bank) ?? encodeBank(bank);
    banks.set(bank, encoded);
    return encoded;
  };
  async function* evaluate(batch: EvaluationBatch, signal: AbortSignal): AsyncGenerator<AnsweredEvaluation[]> {
    const { name, digest } = await servedModel(signal);
    const request = {
      ...encodeEvaluations(batch),
      model: name,
      bank: { bank: { $case: 'inline' as const, value: bankOf(batch.bank) } },
    };
    const requester = currentAudit() ?? NO_AUDIT;
    const count = batch.evaluations.length;
    const publish = async (emit: (answered: AnsweredEvaluation[]) => void, stop: AbortSignal): Promise<void> => {
      const options = { requester, modelDigest: digest, signal: stop };
      for await (const { results } of publishEvaluations(bus, request, options))
        emit(results.map((result) => decodeResult(result, count)));
    };
    const queue = evaluationQueueName(name);
    const facts = { ...queueFacts(queue, 'request'), 'refusal.evaluation.count': count };
    yield* streamOf<AnsweredEvaluation[]>(
      (emit, stop) => telemetry.inSpan(`request ${queue}`, facts, () => publish(emit, stop), 'producer'),
      signal,
    );
  }
  return {
    ...direct,
    describe: async (model, signal) => {
      // Every stage begins with this: pods that serve other weights by now are seen then.
      served = undefined;
      return direct.describe(model, signal);
    },
    evaluate,
  };
};

const describeServed = async (client: InferenceClient, signal: AbortSignal): Promise<ServedModel> => {
  const { model, provenance } = await client.describeModel({ model: '' }, { signal });
  if (provenance === undefined) throw fault('PEER_UNAVAILABLE', 'Inference states no provenance of its model.');
  return { name: model, digest: digestOfModel(provenance) };
};
