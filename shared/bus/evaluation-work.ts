/**
 * Bulk evaluation over the bus, in the shape of the EvaluateMasks call: `publishEvaluations` for whoever asks, `serveEvaluations` for pods
 * that answer. Prevents: a service that has to know how its evaluations travel.
 */
import { EvaluationWork, EvaluationWorkResult } from '../../proto/gen/refusalscope/v1/bus.js';
import type {
  EvaluateMasksRequest,
  EvaluateMasksResponse,
  EvaluationResult,
} from '../../proto/gen/refusalscope/v1/inference.js';
import { EditBank } from '../../proto/gen/refusalscope/v1/types.js';
import { fault, isFault } from '../errors/fault.js';
import { silentTelemetry, type Telemetry } from '../telemetry/telemetry.js';
import { extractTraceFrom, injectTrace, withTrace } from '../telemetry/trace-carrier.js';
import type { Bus, ConsumeOptions, Consumption, WorkItem, WorkQueue } from './bus.js';
import { contentId } from './content-id.js';
import { cutIntoBatches } from './evaluation-batches.js';
import { queueFacts } from './queue-facts.js';
import { requestWork } from './request-work.js';

/** Evaluations a work item: some seconds of a small model's time, so that a kill loses little and pods share a prompt's states. */
const BATCH_SIZE = 32;

/** Items that a pod works on: one is fetched and stored while the other is computed. The autoscaler's threshold (k8s/) is this number. */
export const SLOTS_OF_A_POD = 2;

export interface PublishEvaluationsOptions {
  /** The audit or caller: its items take turns with those of others. Letters, digits, `_`, `-`. */
  readonly requester: string;
  /** What decides a score besides the request: weights, adapter, tokenizer, template, dtype. Pods must serve the same. */
  readonly modelDigest: string;
  readonly batchSize?: number;
  readonly signal?: AbortSignal;
  /** Beside the caller's trace, which goes along by itself. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Results in any order, one response a finished item. `bankDigest` of a response can stand for the bank in a later request.
 * @throws REQUEST_INVALID; the fault that ended an item (with its dead letter kept); CANCELLED
 */
export async function* publishEvaluations(
  bus: Bus,
  request: EvaluateMasksRequest,
  options: PublishEvaluationsOptions,
): AsyncGenerator<EvaluateMasksResponse> {
  const queue = await openEvaluationQueue(bus, request.model);
  const bankSha256 = await putBank(bus, request);
  const { requester, modelDigest } = options;
  const headers = { ...traceHeaders(), ...options.headers };
  const batches = cutIntoBatches(request, { bankSha256, modelDigest, size: options.batchSize ?? BATCH_SIZE });
  const works = batches.map(({ work }) => ({ requester, headers, payload: EvaluationWork.encode(work).finish() }));
  for await (const { index, result } of requestWork(queue, works, options.signal)) {
    const { places } = batches[index]!;
    const { results } = EvaluationWorkResult.decode(result);
    yield { results: results.map((one) => renumber(one, places)), bankDigest: bankSha256 };
  }
}

/** The caller's trace, for whoever computes the item. */
const traceHeaders = (): Record<string, string> => {
  const carried: Record<string, string> = {};
  injectTrace({ set: (name, value) => Object.assign(carried, { [name]: value }) });
  return carried;
};

export interface ServedModel {
  readonly name: string;
  readonly digest: string;
}

/** The item that a request came as. */
export type EvaluationItem = Pick<WorkItem, 'id' | 'requester' | 'delivery'>;

export type EvaluateMasks = (
  request: EvaluateMasksRequest,
  signal: AbortSignal,
  item: EvaluationItem,
) => AsyncIterable<EvaluateMasksResponse>;

export interface ServeEvaluationsOptions extends ConsumeOptions {
  /** Where each delivery of an item has a span. */
  readonly telemetry?: Pick<Telemetry, 'inSpan'> | undefined;
}

/** Pulls items until the consumption is drained. */
export const serveEvaluations = async (
  bus: Bus,
  model: ServedModel,
  evaluate: EvaluateMasks,
  { telemetry = silentTelemetry, ...options }: ServeEvaluationsOptions = {},
): Promise<Consumption> => {
  const queue = await openEvaluationQueue(bus, model.name);
  const queueName = evaluationQueueName(model.name);
  // The engine's own name of each bank it was given, by blob.
  const engineDigests = new Map<string, string>();
  return queue.consume(
    async (item, signal) => {
      const work = decodeWork(item.payload);
      assertServed(work, model);
      const answer = () => evaluateWork(bus, work, (request) => evaluate(request, signal, item), engineDigests);
      const results = await withTrace(extractTraceFrom(item.headers), () =>
        telemetry.inSpan(`process ${queueName}`, factsOf(item, queueName), answer, 'consumer'),
      );
      return EvaluationWorkResult.encode({ results }).finish();
    },
    { concurrency: SLOTS_OF_A_POD, ...options },
  );
};

const factsOf = ({ id, delivery }: WorkItem, queueName: string) => ({
  ...queueFacts(queueName, 'process'),
  'messaging.message.id': id,
  'refusal.delivery': delivery,
});

/** One queue a model, so that no pod is handed what it cannot compute. */
export const openEvaluationQueue = (bus: Bus, model: string): Promise<WorkQueue> => {
  if (model === '') throw fault('REQUEST_INVALID', 'The request names no model: bulk evaluation needs one.');
  return bus.workQueue({ name: evaluationQueueName(model) });
};

/** Such as "evaluate-gemma-2-2b-it". A name with other characters gets a few digits of its sha256, so that no two names meet. */
export const evaluationQueueName = (model: string): string => {
  const plain = model.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 80);
  return plain === model
    ? `evaluate-${model}`
    : `evaluate-${plain}-${contentId(Buffer.from(model, 'utf8')).slice(0, 8)}`;
};

const storedBanks = new WeakMap<Bus, WeakMap<EditBank, Promise<string>>>();

/** The blob's digest; a bank object is encoded and stored once. */
const putBank = (bus: Bus, { bank }: EvaluateMasksRequest): Promise<string> | string => {
  if (bank?.bank === undefined) throw fault('REQUEST_INVALID', 'The request has no bank.');
  if (bank.bank.$case === 'digest') return bank.bank.value;
  const edits = bank.bank.value;
  const ofBus = storedBanks.get(bus) ?? new WeakMap<EditBank, Promise<string>>();
  storedBanks.set(bus, ofBus);
  const stored = ofBus.get(edits) ?? bus.blobs.put(EditBank.encode(edits).finish());
  ofBus.set(edits, stored);
  stored.catch(() => ofBus.delete(edits));
  return stored;
};

/** What cannot be read will never be readable: no worker tries it twice. */
const decodeWork = (payload: Uint8Array): EvaluationWork => {
  try {
    return EvaluationWork.decode(payload);
  } catch (cause) {
    throw fault('REQUEST_INVALID', `The item has ${payload.length} bytes that are no EvaluationWork.`, { cause });
  }
};

const assertServed = (work: EvaluationWork, model: ServedModel): void => {
  if (work.modelDigest === model.digest) return;
  // Retryable: while pods are replaced, another one may serve these weights.
  throw fault(
    'PEER_UNAVAILABLE',
    `The item is for ${work.model} with digest ${work.modelDigest.slice(0, 12)}; this pod serves ${model.digest.slice(0, 12)}.`,
  );
};

const evaluateWork = async (
  bus: Bus,
  work: EvaluationWork,
  evaluate: (request: EvaluateMasksRequest) => AsyncIterable<EvaluateMasksResponse>,
  engineDigests: Map<string, string>,
): Promise<EvaluationResult[]> => {
  const { model, prompts, score, evaluations, firstTokenKl, bankSha256 } = work;
  const run = async (bank: EvaluateMasksRequest['bank']): Promise<EvaluationResult[]> => {
    const request = { model, prompts, bank, score, evaluations, firstTokenKl };
    const results: EvaluationResult[] = [];
    for await (const response of evaluate(request)) {
      engineDigests.set(bankSha256, response.bankDigest);
      results.push(...response.results);
    }
    assertComplete(results, evaluations.length);
    return results;
  };
  const known = engineDigests.get(bankSha256);
  if (known !== undefined) {
    try {
      return await run({ bank: { $case: 'digest', value: known } });
    } catch (thrown) {
      // The engine keeps a bounded number of banks.
      if (!isFault(thrown, 'BANK_UNKNOWN')) throw thrown;
    }
  }
  return run({ bank: { $case: 'inline', value: await readBank(bus, bankSha256) } });
};

const readBank = async (bus: Bus, sha256: string): Promise<EditBank> => {
  const bytes = await bus.blobs.get(sha256);
  if (bytes !== undefined) return EditBank.decode(bytes);
  throw fault('BANK_UNKNOWN', `The bus has no bank ${sha256}: send the request again with its bank inline.`);
};

/** A missing or doubled result would be a wrong number further on; the item is computed again. */
const assertComplete = (results: readonly EvaluationResult[], expected: number): void => {
  const answered = new Set(results.map(({ evaluationIndex }) => evaluationIndex)).size;
  if (answered === expected && results.length === expected) return;
  throw fault('PEER_UNAVAILABLE', `The engine gave ${results.length} results for ${expected} evaluations.`);
};

const renumber = (result: EvaluationResult, places: readonly number[]): EvaluationResult => {
  const place = places[result.evaluationIndex];
  if (place !== undefined) return { ...result, evaluationIndex: place };
  throw fault('INTERNAL', `A result is for evaluation ${result.evaluationIndex} of an item of ${places.length}.`);
};
