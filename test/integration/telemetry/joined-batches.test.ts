/** Two calls whose evaluations shared batches of the real engine: their spans link to each other, and a call alone links to none. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { loadMechanism } from '../../../bench/truth/mechanism.js';
import { plantModel } from '../../../bench/truth/plant/plant-model.js';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { startInferenceService } from '../../../services/inference/start.js';
import { createBank } from '../../../services/search/model/bank.js';
import type { EvaluationBatch } from '../../../services/search/model/model-port.js';
import { createInferenceModel } from '../../../services/search/wire/inference-client.js';
import { projectRoot } from '../../../shared/project/root.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { connect } from '../../../shared/rpc/connect.js';
import { localEdge } from '../../../shared/rpc/edge.js';
import { openTelemetry } from '../../../shared/telemetry/telemetry.js';
import { startCollector } from './otlp-collector.js';

const EDITS = 12;
/** Hundreds of milliseconds of the engine: the second call arrives long before the first one ends. */
const EVALUATIONS = 512;

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const batchOf = (seed: number, dModel: number, text: string): EvaluationBatch => {
  const random = createSeededRandom(seed);
  const matrix = () => ({
    rows: EDITS,
    cols: dModel,
    data: Float32Array.from({ length: EDITS * dModel }, () => random.normal() / dModel),
  });
  const layer = {
    layer: 1,
    names: Array.from({ length: EDITS }, (_, i) => `1/${i}`),
    read: matrix(),
    bias: new Float32Array(EDITS),
    threshold: new Float32Array(EDITS).fill(Number.NEGATIVE_INFINITY),
    write: matrix(),
    target: new Float32Array(EDITS),
    positions: { span: 'all' as const, start: 0, end: 0, includeBos: true },
  };
  const flags = () => Array.from({ length: EDITS }, (_, i) => i).filter(() => random.uniform() < 0.5);
  return {
    prompts: [{ id: `p${seed}`, input: { kind: 'text', text } }],
    bank: createBank([layer]),
    score: { openers: [[1]], firstTokenIds: [1], iTokenId: 2 },
    evaluations: Array.from({ length: EVALUATIONS }, () => ({ prompt: 0, on: flags() })),
    firstTokenKl: false,
  };
};

it('calls that the engine works on together link to each other; one that it works on alone to none', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-joined-'));
  open.push(() => rmSync(folder, { recursive: true, force: true }));
  const planted = plantModel(loadMechanism(join(projectRoot, 'bench/truth/mechanisms/single.json')), {
    folder,
    seed: 3,
    promptsPerCategory: 2,
  });
  const collector = await startCollector();
  open.push(collector.stop);
  const telemetry = await openTelemetry('test', { otlpEndpoint: collector.endpoint, metricsIntervalMs: 60_000 });
  const edge = { ...localEdge, telemetry: telemetry.forService('inference') };
  const inference = await startInferenceService({
    modelPath: planted.modelFolder,
    modelName: 'planted',
    listen: '127.0.0.1:0',
    threads: 1,
    cacheBytes: 64 << 20,
    edge,
  });
  open.push(() => inference.stop());
  const connection = connect(InferenceServiceDefinition, inference.address);
  open.push(() => connection.close());
  const model = createInferenceModel(connection.client);
  const { signal } = new AbortController();
  const { dModel } = await model.describe('', signal);
  const text = planted.prompts[0]!.text;
  const evaluate = async (seed: number): Promise<number> => {
    let answered = 0;
    for await (const results of model.evaluate(batchOf(seed, dModel, text), signal)) answered += results.length;
    return answered;
  };
  expect(await Promise.all([evaluate(1), evaluate(2)])).toEqual([EVALUATIONS, EVALUATIONS]);
  expect(await evaluate(3)).toBe(EVALUATIONS);
  await telemetry.stop();

  const spans = collector.spans().filter(({ name }) => name === 'engine evaluate');
  const linked = spans.map(({ links }) => links.map(({ spanId }) => spanId));
  const [one, other] = spans;
  expect(linked).toEqual([[other!.spanId], [one!.spanId], []]);
}, 120_000);
