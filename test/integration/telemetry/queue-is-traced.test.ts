/** Evaluations over the work queue, on both engines of the bus: the trace of whoever asks goes on at the pod that answers. */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { EvaluateMasksRequest, EvaluateMasksResponse } from '../../../proto/gen/refusalscope/v1/inference.js';
import { EMPTY_BANK } from '../../../services/search/model/bank.js';
import type { EvaluationBatch, RefusalModel } from '../../../services/search/model/model-port.js';
import { createBulkModel } from '../../../services/search/wire/bulk-model.js';
import type { InferenceClient } from '../../../services/search/wire/inference-client.js';
import type { Bus } from '../../../shared/bus/bus.js';
import { serveEvaluations } from '../../../shared/bus/evaluation-work.js';
import { createLocalBus } from '../../../shared/bus/local/create-local-bus.js';
import { digestOfModel } from '../../../shared/bus/model-digest.js';
import { connectNatsBus } from '../../../shared/bus/nats/connect-nats-bus.js';
import { fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { openTelemetry, type Telemetry } from '../../../shared/telemetry/telemetry.js';
import { type NatsServer, startNatsServer } from '../../fixtures/nats/nats-server.js';
import { startCollector } from './otlp-collector.js';

let server: NatsServer;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.close());
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const PROVENANCE = {
  model: 'tiny',
  weightsSha256: '1'.repeat(64),
  adapterSha256: '',
  tokenizerSha256: '2'.repeat(64),
  chatTemplateSha256: '',
  computeDtype: 'float32',
  device: 'cpu',
  saeSha256: {},
  versions: {},
};
const MODEL = { name: PROVENANCE.model, digest: digestOfModel(PROVENANCE) };
const PROMPTS = 3;

const batch: EvaluationBatch = {
  prompts: Array.from({ length: PROMPTS }, (_, i) => ({ id: `p${i}`, input: { kind: 'text', text: `prompt ${i}` } })),
  bank: EMPTY_BANK,
  score: { openers: [[1]], firstTokenIds: [1], iTokenId: 1 },
  // Two items: one holds as many as 32 evaluations.
  evaluations: Array.from({ length: 40 }, (_, i) => ({ prompt: i % PROMPTS, on: [] })),
  firstTokenKl: false,
};

async function* answer({ evaluations }: EvaluateMasksRequest): AsyncGenerator<EvaluateMasksResponse> {
  const scores = { refusalScore: 1, firstTokenScore: 0, pI: 0, proof: [], acted: false, firstTokenKl: undefined };
  yield { results: evaluations.map((_, i) => ({ evaluationIndex: i, ...scores, tokenBlocks: 1 })), bankDigest: 'b' };
}

const modelOver = (bus: Bus, telemetry: Telemetry): RefusalModel => {
  const direct = {} as RefusalModel;
  const client = { describeModel: async () => ({ model: MODEL.name, provenance: PROVENANCE }) };
  return createBulkModel(direct, client as unknown as InferenceClient, { bus, telemetry });
};

describe.each([
  ['in one process', async () => createLocalBus()],
  ['on NATS', () => connectNatsBus({ servers: [server.url], namespace: `t-${randomUUID()}`, logger: silentLogger })],
])('the work queue, %s', (_engine, openBus) => {
  it('a request is a span, and each of its items one under it, at the pod that answers', async () => {
    const collector = await startCollector();
    open.push(collector.stop);
    const telemetry = await openTelemetry('test', { otlpEndpoint: collector.endpoint, metricsIntervalMs: 60_000 });
    const bus = await openBus();
    open.push(() => bus.close());
    const failing = new Set(['first']);
    const evaluate = (request: EvaluateMasksRequest) => {
      if (failing.delete('first')) throw fault('PEER_UNAVAILABLE', 'not now');
      return answer(request);
    };
    const options = { telemetry: telemetry.forService('inference'), concurrency: 1, backoffMs: [10] };
    const consumption = await serveEvaluations(bus, MODEL, evaluate, options);
    open.push(() => consumption.drain(0));
    const search = telemetry.forService('search');
    let answered = 0;
    await search.inSpan('stage', {}, async () => {
      for await (const results of modelOver(bus, search).evaluate(batch, new AbortController().signal))
        answered += results.length;
    });
    await telemetry.stop();

    expect(answered).toBe(40);
    const spans = collector.spans();
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    const named = (name: string) => spans.filter((span) => span.name === name);
    const [request] = named('request evaluate-tiny');
    expect(request).toMatchObject({ service: 'search', kind: 4, parentSpanId: named('stage')[0]?.spanId });
    expect(request?.attributes).toMatchObject({ 'messaging.destination.name': 'evaluate-tiny' });
    const items = named('process evaluate-tiny');
    expect(items.map(({ parentSpanId, kind }) => [parentSpanId, kind])).toEqual(Array(3).fill([request?.spanId, 5]));
    // Two items, one of which came twice.
    expect(new Set(items.map(({ attributes }) => attributes['messaging.message.id'])).size).toBe(2);
    expect(items.map(({ attributes }) => attributes['error.type']).filter(Boolean)).toEqual(['PEER_UNAVAILABLE']);
    expect(items.map(({ attributes }) => String(attributes['refusal.delivery'])).sort()).toEqual(['1', '1', '2']);
  });
});
