/** How banks travel: inline once, by digest from then on, inline again where a pod no longer holds them. */
import { afterEach, describe, expect, it } from 'vitest';
import { type EvaluateMasksRequest, InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { type Bank, createBank, EMPTY_BANK, EVERY_POSITION } from '../../../services/search/model/bank.js';
import { createInferenceModel } from '../../../services/search/wire/inference-client.js';
import { fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { connect } from '../../../shared/rpc/connect.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';

const unused = () => {
  throw fault('UNSUPPORTED', 'not part of the script');
};

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** A pod that keeps banks until it is told to forget them. */
async function startPod(weightsSha256 = 'aa') {
  const seen: string[] = [];
  const held = new Set<string>();
  const service = bindService(InferenceServiceDefinition, {
    describeModel: async () => ({ model: 'pod', nLayers: 2, dModel: 2, provenance: { weightsSha256 } }),
    tokenize: unused,
    captureResiduals: unused,
    async *evaluateMasks({ bank, evaluations }: EvaluateMasksRequest) {
      const kind = bank?.bank?.$case ?? 'none';
      seen.push(kind);
      if (bank?.bank?.$case === 'digest' && !held.has(bank.bank.value))
        throw fault('BANK_UNKNOWN', 'No such bank here.');
      if (bank?.bank?.$case === 'inline') held.add('d1');
      const bankDigest = kind === 'none' ? '' : 'd1';
      yield {
        bankDigest,
        results: evaluations.map((_, evaluationIndex) => ({ evaluationIndex, refusalScore: 1, acted: true })),
      };
    },
    generate: unused,
    measureCrossEntropy: unused,
  });
  const server = await startServer({ address: '127.0.0.1:0', services: [service], logger: silentLogger });
  const connection = connect(InferenceServiceDefinition, server.address);
  closers.push(async () => {
    connection.close();
    await server.stop();
  });
  return { model: createInferenceModel(connection.client), seen, held };
}

const row = { rows: 1, cols: 2, data: Float32Array.of(1, 0) };
const one = Float32Array.of(0);
const bank = createBank([
  {
    layer: 1,
    names: ['1/0'],
    read: row,
    bias: one,
    threshold: one,
    write: row,
    target: one,
    positions: EVERY_POSITION,
  },
]);
const score = { openers: [[7]], firstTokenIds: [7], iTokenId: 7 };
const prompt = { id: 'p1', input: { kind: 'text' as const, text: 'hello' } };
const signal = new AbortController().signal;

async function ask(model: ReturnType<typeof createInferenceModel>, asked: Bank, on: number[]) {
  const scores: number[] = [];
  const batch = { prompts: [prompt], bank: asked, score, evaluations: [{ prompt: 0, on }], firstTokenKl: false };
  for await (const results of model.evaluate(batch, signal))
    scores.push(...results.map(({ evaluation }) => evaluation.refusalScore));
  return scores;
}

describe('banks on their way to inference', () => {
  it('go inline once and by digest from then on', async () => {
    const { model, seen } = await startPod();
    for (let i = 0; i < 3; i++) expect(await ask(model, bank, [0])).toEqual([1]);
    expect(seen).toEqual(['inline', 'digest', 'digest']);
  });

  it('go inline again where the pod has lost them, without an error', async () => {
    const { model, seen, held } = await startPod();
    await ask(model, bank, [0]);
    held.clear();
    expect(await ask(model, bank, [0])).toEqual([1]);
    expect(await ask(model, bank, [0])).toEqual([1]);
    expect(seen).toEqual(['inline', 'digest', 'inline', 'digest']);
  });

  it('stay at home when they are empty', async () => {
    const { model, seen } = await startPod();
    expect(await ask(model, EMPTY_BANK, [])).toEqual([1]);
    expect(seen).toEqual(['none']);
  });
});

describe('the digest of a model', () => {
  it('differs with the weights and is refused without them', async () => {
    const digestOf = async (weights: string) => (await (await startPod(weights)).model.describe('', signal)).digest;
    expect(await digestOf('aa')).toBe(await digestOf('aa'));
    expect(await digestOf('aa')).not.toBe(await digestOf('bb'));
    await expect(digestOf('')).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
      message: 'Inference states no digest of its weights, so evaluations cannot be told apart.',
    });
  });
});
