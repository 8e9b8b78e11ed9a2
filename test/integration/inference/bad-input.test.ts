/** What the inference service refuses, by status code and text. The client is made from the proto files, not from our code. */
import { join } from 'node:path';
import { credentials, loadPackageDefinition, type ServiceError, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { type EmbeddedInference, featureEdits, goldenScore, startEmbeddedInference } from './embedded-inference.js';

type Call = (request: object) => Promise<object[]>;

let inference: EmbeddedInference;
let evaluateMasks: Call;
let generate: Call;
let capture: Call;
beforeAll(async () => {
  inference = await startEmbeddedInference();
  const definition = loadSync('refusalscope/v1/inference.proto', {
    includeDirs: [join(projectRoot, 'proto')],
    keepCase: false,
  });
  // biome-ignore lint/suspicious/noExplicitAny: a client made at run time has no type
  const { InferenceService } = (loadPackageDefinition(definition) as any).refusalscope.v1;
  const client = new InferenceService(inference.address, credentials.createInsecure());
  const stream =
    (method: string): Call =>
    (request) =>
      new Promise((resolve, reject) => {
        const messages: object[] = [];
        client[method](request)
          .on('data', (message: object) => messages.push(message))
          .on('error', reject)
          .on('end', () => resolve(messages));
      });
  evaluateMasks = stream('evaluateMasks');
  generate = stream('generate');
  capture = stream('captureResiduals');
});
afterAll(() => inference?.stop());

const positions = { span: 2, start: 0, end: 0, includeBos: false };
const prompt = { id: 'p', text: 'How do I bake bread?' };
const on = { bits: Buffer.of(1) };
const oneEdit = () => ({ inline: { layers: featureEdits(['13/5'], 0, positions) } });
const good = () => ({
  prompts: [prompt],
  bank: oneEdit(),
  score: goldenScore,
  evaluations: [{ promptIndex: 0, mask: on }],
});

async function refusal(call: Promise<unknown>): Promise<ServiceError> {
  return call.then(
    () => expect.fail('the request was accepted'),
    (problem: ServiceError) => problem,
  );
}

const floats = (...values: number[]) => ({
  rows: 1,
  cols: values.length,
  data: Buffer.from(Float32Array.from(values).buffer),
});

describe('requests that are refused', () => {
  it('accepts the request that the others are broken from', async () => {
    expect(await evaluateMasks(good())).toHaveLength(1);
  });

  const cases: readonly [string, () => object, number, RegExp][] = [
    ['an unknown model', () => ({ ...good(), model: 'gpt-9' }), status.NOT_FOUND, /No model "gpt-9" .* has "embedded"/],
    [
      'an empty prompt',
      () => ({ ...good(), prompts: [{ id: 'p', text: '  ' }] }),
      status.INVALID_ARGUMENT,
      /Prompt 0 is empty/,
    ],
    ['no prompt', () => ({ ...good(), prompts: [] }), status.INVALID_ARGUMENT, /no prompts/],
    [
      'a prompt longer than the context',
      () => ({ ...good(), prompts: [{ id: 'p', text: 'word '.repeat(5000) }] }),
      status.INVALID_ARGUMENT,
      /Prompt 0 has \d+ tokens; the context holds 4096/,
    ],
    [
      'a token outside the vocabulary',
      () => ({ ...good(), prompts: [{ id: 'p', tokenIds: { ids: [1, 99_999] } }] }),
      status.INVALID_ARGUMENT,
      /token id 99999; the vocabulary has 49152/,
    ],
    [
      'a mask of the wrong length',
      () => ({ ...good(), evaluations: [{ promptIndex: 0, mask: { bits: Buffer.of(1, 0) } }] }),
      status.INVALID_ARGUMENT,
      /mask/i,
    ],
    [
      'a spare bit that is set',
      () => ({ ...good(), evaluations: [{ promptIndex: 0, mask: { bits: Buffer.of(3) } }] }),
      status.INVALID_ARGUMENT,
      /mask/i,
    ],
    [
      'a prompt number that does not exist',
      () => ({ ...good(), evaluations: [{ promptIndex: 4, mask: on }] }),
      status.INVALID_ARGUMENT,
      /Evaluation 0 names prompt 4; the request has 1 prompts/,
    ],
    [
      'a NaN target',
      () => {
        const request = good();
        Object.assign(request.bank.inline.layers[0], { target: floats(Number.NaN) });
        return request;
      },
      status.INVALID_ARGUMENT,
      /target holds NaN at row 0, column 0; every value must be a finite number/,
    ],
    [
      'an infinite bias',
      () => {
        const request = good();
        Object.assign(request.bank.inline.layers[0], { bias: floats(Number.NEGATIVE_INFINITY) });
        return request;
      },
      status.INVALID_ARGUMENT,
      /bias holds -Infinity/,
    ],
    [
      'rows of another width',
      () => {
        const request = good();
        Object.assign(request.bank.inline.layers[0], { read: floats(1, 2, 3) });
        return request;
      },
      status.INVALID_ARGUMENT,
      /read has 3 columns; 576 are needed/,
    ],
    [
      'a layer outside the model',
      () => {
        const request = good();
        Object.assign(request.bank.inline.layers[0], { layer: 30 });
        return request;
      },
      status.INVALID_ARGUMENT,
      /edits layer 30; the model has layers 0 to 29/,
    ],
    [
      'a bank that was never sent',
      () => ({ ...good(), bank: { digest: 'ab'.repeat(32) } }),
      status.FAILED_PRECONDITION,
      /No bank with digest abab.* send it inline once/,
    ],
    ['no openers', () => ({ ...good(), score: { openers: [] } }), status.INVALID_ARGUMENT, /score\.openers is empty/],
    [
      'an opener of five tokens',
      () => ({ ...good(), score: { openers: [{ ids: [1, 2, 3, 4, 5] }] } }),
      status.INVALID_ARGUMENT,
      /Opener 0 has 5 tokens; 1 to 4/,
    ],
  ];
  it.each(cases)('%s', async (_, request, code, text) => {
    const problem = await refusal(evaluateMasks(request()));
    expect(problem.details).toMatch(text);
    expect(problem.code).toBe(code);
  });

  it('more evaluations than a request may have', async () => {
    const evaluations = new Array(16_385).fill({ promptIndex: 0, mask: on });
    const problem = await refusal(evaluateMasks({ ...good(), evaluations }));
    expect([problem.code, problem.details]).toEqual([
      status.INVALID_ARGUMENT,
      'The request has 16385 evaluations; at most 16384 are allowed. Split it.',
    ]);
  });

  it('an answer of no length, or one beyond the limit', async () => {
    const none = await refusal(generate({ prompts: [prompt], maxNewTokens: 0 }));
    expect([none.code, none.details]).toEqual([
      status.INVALID_ARGUMENT,
      'max_new_tokens is 0: ask for 1 token at least.',
    ]);
    const many = await refusal(generate({ prompts: [prompt], maxNewTokens: 5000 }));
    expect([many.code, many.details]).toEqual([
      status.INVALID_ARGUMENT,
      'The request has 5000 new tokens; at most 1024 are allowed. Split it.',
    ]);
  });

  it('layers and positions that do not exist', async () => {
    const layer = await refusal(capture({ prompts: [prompt], layers: [3, 40] }));
    expect([layer.code, layer.details]).toEqual([
      status.INVALID_ARGUMENT,
      'Layer 40 was asked for; the model has layers 0 to 29.',
    ]);
    const position = await refusal(capture({ prompts: [prompt], layers: [3], positions: [-500] }));
    expect(position.code).toBe(status.INVALID_ARGUMENT);
    expect(position.details).toMatch(/Position -500 was asked for; the prompt has \d+ tokens/);
  });

  it('still answers after all of that', async () => {
    expect(await evaluateMasks(good())).toHaveLength(1);
  });
});

describe('calls that end early', () => {
  it('a cancelled call stops, and the service goes on', async () => {
    const controller = new AbortController();
    const request = {
      prompts: [{ id: 'p', input: { $case: 'text' as const, value: 'Tell me a story about the sea.' } }],
      maxNewTokens: 400,
    };
    let tokens = 0;
    const run = async () => {
      for await (const _ of inference.client.generate(request, { signal: controller.signal })) {
        tokens++;
        if (tokens === 3) controller.abort();
      }
    };
    await expect(run()).rejects.toThrow();
    expect(tokens).toBeLessThan(400);
    expect(await evaluateMasks(good())).toHaveLength(1);
  });

  it('an expired deadline is told as such', async () => {
    const request = {
      prompts: [{ id: 'p', input: { $case: 'text' as const, value: 'Tell me a story about the sea.' } }],
      maxNewTokens: 400,
    };
    const run = async () => {
      for await (const _ of inference.client.generate(request, { deadlineMs: 300 }));
    };
    await expect(run()).rejects.toMatchObject({ code: 'DEADLINE' });
  });
});
