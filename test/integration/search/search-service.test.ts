import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EvaluationRecord,
  FilterMethod,
  type MinimalSet,
  MinimalSet_Outcome,
  SearchServiceDefinition,
  Verdict,
} from '../../../proto/gen/refusalscope/v1/search.js';
import { PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';
import { createSearchService } from '../../../services/search/service.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { type RunningServer, startServer } from '../../../shared/rpc/start-server.js';
import { encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import { encodeRow } from '../../../shared/tensors/matrix.js';
import {
  createPlantedModel,
  createPlantedSaes,
  PLANTED_WIDTH,
  type PlantedModel,
  type PlantedOptions,
  planHydra,
} from '../../unit/search/planted-model.js';

/** The real service over real gRPC, on a model whose mechanism is known: 3/1 refuses, 5/2 wakes once it is off. */
const hooks: { beforeResults?: (batch: number) => void | Promise<void> } = {};
const OPTIONS: PlantedOptions = {
  layers: [3, 5],
  mechanism: planHydra(['3/1', '5/2'], ['3/20', '5/21']),
  beforeResults: (batch) => hooks.beforeResults?.(batch),
};

let server: RunningServer;
let connection: Connection<typeof SearchServiceDefinition>;
let model: PlantedModel;

beforeAll(async () => {
  model = createPlantedModel(OPTIONS);
  const service = createSearchService({ model, saes: createPlantedSaes(OPTIONS) });
  server = await startServer({ address: '127.0.0.1:0', services: [service], logger: silentLogger });
  connection = connect(SearchServiceDefinition, server.address);
});
afterAll(async () => {
  connection.close();
  await server.stop();
});

const unit = Float32Array.from({ length: PLANTED_WIDTH }, (_, i) => (i === 0 ? 1 : 0));
const directions = [3, 5].map((layer) => ({ layer, position: -1, vector: encodeRow(unit), rawNorm: 2 }));
const score = { openers: [{ ids: [57, 5] }], firstTokenIds: [57], iTokenId: 57 };
const prompt = { id: 'p1', input: { $case: 'text' as const, value: 'a question' } };
const filterRequest = { model: 'planted', prompt, score, directions, growth: [10] };

async function drain<Result>(
  stream: AsyncIterable<{ event?: { $case: string; value: unknown } | undefined }>,
): Promise<{ result: Result; records: EvaluationRecord[]; stages: string[] }> {
  const records: EvaluationRecord[] = [];
  const stages: string[] = [];
  let result: Result | undefined;
  for await (const { event } of stream) {
    if (event?.$case === 'evaluation') records.push(event.value as EvaluationRecord);
    if (event?.$case === 'progress') stages.push((event.value as { stage: string }).stage);
    if (event?.$case === 'result') result = event.value as Result;
  }
  return { result: result!, records, stages };
}

const featureOf = (name: string) => ({ layer: Number(name.split('/')[0]), index: Number(name.split('/')[1]) });

describe('search service over gRPC', () => {
  it('filters one prompt and streams every evaluation as a record', async () => {
    const { result, records, stages } = await drain<MinimalSet>(connection.client.filterPrompt(filterRequest));
    expect(result.outcome).toBe(MinimalSet_Outcome.OUTCOME_FOUND);
    expect(result.members.map(({ feature }) => feature)).toEqual([featureOf('3/1'), featureOf('5/2')]);
    expect(result.members.map(({ cleanActivation }) => cleanActivation)).toEqual([4, 0]);
    expect(result).toMatchObject({ oneMinimal: true, method: FilterMethod.FILTER_METHOD_GROUP, promptId: 'p1' });
    expect(records).toHaveLength(result.evaluations);
    expect(new Set(records.map(({ key }) => key.toString('hex'))).size).toBe(records.length);
    expect(stages).toContain('filter');
  });

  it('asks nothing that comes in as known', async () => {
    const first = await drain<MinimalSet>(connection.client.filterPrompt(filterRequest));
    const before = model.asked.length;
    const again = await drain<MinimalSet>(connection.client.filterPrompt({ ...filterRequest, known: first.records }));
    expect(model.asked.length).toBe(before);
    expect(again.records).toEqual([]);
    expect(again.result.evaluationsReused).toBe(again.result.evaluations);
    expect({ ...again.result, evaluationsReused: 0 }).toEqual({ ...first.result, evaluationsReused: 0 });
  });

  it('keeps what was evaluated before a cancel, and stops asking', async () => {
    const abort = new AbortController();
    const records: EvaluationRecord[] = [];
    const masks = Array.from({ length: 1500 }, (_, i) => ({
      bits: encodeMaskIndices(
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10].filter((bit) => (i >> bit) & 1),
        11,
      ),
    }));
    const features = Array.from({ length: 11 }, (_, index) => ({ layer: 3, index }));
    const before = model.asked.length;
    hooks.beforeResults = () => new Promise((resolve) => setTimeout(resolve, 100));
    const call = async () => {
      for await (const { event } of connection.client.sampleMasks(
        { prompts: [prompt], score, features, masks },
        { signal: abort.signal },
      ))
        if (event?.$case === 'evaluation' && records.push(event.value) === 100) abort.abort();
    };
    await expect(call()).rejects.toMatchObject({ code: 'CANCELLED' });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const asked = model.asked.length;
    expect(records.length).toBeGreaterThanOrEqual(100);
    expect(asked - before).toBeLessThan(1500);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(model.asked.length).toBe(asked);
    hooks.beforeResults = undefined;
  });

  it('ends at its deadline', async () => {
    hooks.beforeResults = () => new Promise((resolve) => setTimeout(resolve, 300));
    const call = drain(
      connection.client.filterPrompt({ ...filterRequest, prompt: { ...prompt, id: 'slow' } }, { deadlineMs: 150 }),
    );
    await expect(call).rejects.toMatchObject({ code: 'DEADLINE' });
    hooks.beforeResults = undefined;
  });

  it('ranks candidates, profiles depth, measures pairs, finds what wakes', async () => {
    const { client } = connection;
    const { candidates } = await client.rankCandidates({ directions, countPerLayer: 2 });
    expect(candidates.map(({ feature, cosine }) => [feature, cosine])).toEqual([
      [featureOf('3/20'), 0.6],
      [featureOf('3/1'), 0.5],
      [featureOf('5/21'), 0.6],
      [featureOf('5/2'), 0.5],
    ]);
    const features = candidates.map(({ feature }) => feature!);
    const depth = await drain<{ layers: unknown[] }>(
      client.profileDepth({ prompts: [prompt], score, candidates: features }),
    );
    expect(depth.result.layers[1]).toMatchObject({ layer: 5, flipsAlone: 0, flipsUpTo: 1, flipsFrom: 0, total: 1 });
    const pair = { first: featureOf('3/1'), second: featureOf('5/2') };
    const pairs = await drain<{ pairs: unknown[] }>(client.measureInteractions({ prompt, score, pairs: [pair] }));
    expect(pairs.result.pairs[0]).toMatchObject({
      neither: 3,
      firstOff: 3,
      secondOff: 3,
      bothOff: -3,
      interaction: -6,
    });
    const dormant = await drain<{ woken: unknown[] }>(
      client.findDormant({ prompt, score, set: [featureOf('3/1')], layers: [3, 5] }),
    );
    expect(dormant.result.woken).toMatchObject([
      { feature: featureOf('5/2'), conditionalEffect: -6, positionKind: 'content' },
    ]);
  });

  it('verifies by text and runs controls', async () => {
    const cases = [{ prompt, set: [featureOf('3/1'), featureOf('5/2')], score: -3 }];
    const verified = await drain<{ flips: { judgement?: unknown }[] }>(connection.client.verifyFlips({ cases }));
    expect(verified.result).toMatchObject({ complied: 1, refused: 0, total: 1, agree: 1, agreeTotal: 1 });
    expect(verified.result.flips[0]!.judgement).toMatchObject({
      verdict: Verdict.VERDICT_COMPLIED,
      rule: 'no-refusal-phrase',
    });
    const controls = await drain(
      connection.client.runControls({ cases, score, draws: 3, seed: 7, direction: directions[0] }),
    );
    expect(controls.result).toMatchObject({ randomFeatures: { flips: 0, total: 3 }, directionAblation: { total: 1 } });
    expect(verified.result).toMatchObject({
      byLength: [8, 16, 32, 48].map((tokens) => ({
        tokens,
        complied: 1,
        agree: 1,
        agreeTotal: 1,
        compliedBefore: tokens > 8 ? 1 : 0,
      })),
    });
  });

  it('ranks features without an evaluation, and measures what rankings flip', async () => {
    const labelled = [
      { prompt: { ...prompt, id: 'h1' }, label: PromptLabel.PROMPT_LABEL_HARMFUL },
      { prompt: { ...prompt, id: 'b1' }, label: PromptLabel.PROMPT_LABEL_HARMLESS },
    ];
    const before = model.asked.length;
    const ranked = await drain<{ cosine: { feature?: unknown; value: number }[] }>(
      connection.client.rankFeatures({ prompts: labelled, directions, count: 3 }),
    );
    expect(model.asked.length).toBe(before);
    expect(ranked.stages).toContain('rankings');
    // Activations do not differ by label here, so cosine alone has an order.
    expect(ranked.result).toEqual({
      cosine: [
        { feature: featureOf('3/20'), value: 0.6 },
        { feature: featureOf('5/21'), value: 0.6 },
        { feature: featureOf('3/1'), value: 0.5 },
      ],
      activationDifference: [],
      probeWeight: [],
      probeRight: 0,
      probeTotal: 0,
    });
    const rankings = [
      { name: 'both', features: [featureOf('3/1'), featureOf('5/2')] },
      { name: 'near', features: [featureOf('3/20'), featureOf('5/21'), featureOf('3/1')] },
    ];
    const request = { prompts: [prompt], score, rankings, counts: [1, 2, 3], direction: directions[0] };
    const measured = await drain<object>(connection.client.measureRankings(request));
    const point = (features: number, flips: number) => ({ features, arm: { flips, total: 1 } });
    expect(measured.result).toMatchObject({
      rankings: [
        { name: 'both', points: [point(1, 0), point(2, 1)] },
        { name: 'near', points: [point(1, 0), point(2, 0), point(3, 0)] },
      ],
      randomActive: [],
      directionAblation: { total: 1 },
    });
    const again = await drain<object>(connection.client.measureRankings({ ...request, known: measured.records }));
    expect(again).toMatchObject({ result: measured.result, records: [] });
  });

  it('calibrates openers from labelled prompts', async () => {
    const labelled = [
      { prompt: { ...prompt, id: 'h1' }, label: PromptLabel.PROMPT_LABEL_HARMFUL },
      { prompt: { ...prompt, id: 'b1' }, label: PromptLabel.PROMPT_LABEL_HARMLESS },
    ];
    const { result } = await drain<{ openerTexts: string[] }>(
      connection.client.calibrateOpeners({ prompts: labelled }),
    );
    expect(result).toMatchObject({
      harmfulRefused: 1,
      harmfulTotal: 1,
      harmlessRefused: 1,
      agreementTotal: 2,
      scoreJudgeAgreement: 1,
    });
    expect(result.openerTexts[0]).toBe("I'm sorry,");
  });

  it.each([
    ['a prompt without input', { prompt: { id: 'p9' } }, 'PROMPT_EMPTY', 'Prompt p9 has neither text nor token ids.'],
    ['no score', { score: undefined }, 'REQUEST_INVALID', 'score is missing; CalibrateOpeners gives one.'],
    ['an unknown model', { model: 'gpt' }, 'MODEL_UNKNOWN', 'planted is served here, not gpt'],
    [
      'an unknown method',
      { method: 9 },
      'REQUEST_INVALID',
      'Filter method 9 is not known; group, greedy and paper are.',
    ],
    [
      'a key of the wrong length',
      { known: [{ key: Buffer.alloc(3) }] },
      'REQUEST_INVALID',
      'A known evaluation has a key of 3 bytes; it must have 32.',
    ],
    [
      'NaN in a direction',
      { directions: [{ ...directions[0]!, vector: encodeRow([Number.NaN, 1]) }] },
      'NOT_FINITE',
      'the direction of layer 3 holds NaN at row 0, column 0; every value must be a finite number.',
    ],
  ])('refuses %s with its code and text', async (_name, overrides, code, message) => {
    const call = drain(connection.client.filterPrompt({ ...filterRequest, ...(overrides as object) }));
    await expect(call).rejects.toMatchObject({ code, message });
  });

  it('refuses a prompt without a label', async () => {
    const call = drain(connection.client.findDirections({ prompts: [{ prompt }], score }));
    await expect(call).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: 'Prompt p1 has no label; it must be harmful or harmless.',
    });
  });
});
