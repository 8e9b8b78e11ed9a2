import { describe, expect, it } from 'vitest';
import { createBank, EMPTY_BANK, EVERY_POSITION } from '../../../services/search/model/bank.js';
import { keyOf } from '../../../services/search/model/evaluation-key.js';
import { createEvaluator } from '../../../services/search/model/evaluator.js';
import {
  createPlantedContext,
  INSTRUCTION,
  type PlantedOptions,
  planOr,
  SCORE_SPEC,
  textPrompt,
} from './planted-model.js';

const OPTIONS: PlantedOptions = { layers: [3, 5], mechanism: planOr(['3/1', '5/2'], ['3/7']) };
const FEATURES = [
  { layer: 3, index: 1 },
  { layer: 3, index: 7 },
  { layer: 3, index: 9 },
  { layer: 5, index: 2 },
];

async function open(
  options: PlantedOptions = OPTIONS,
  extra: { known?: never[]; batchSize?: number; concurrency?: number } = {},
) {
  const context = createPlantedContext(options);
  const facts = await context.model.describe('', context.signal);
  const evaluator = createEvaluator({
    model: context.model,
    facts,
    score: SCORE_SPEC,
    known: [],
    onRecord: context.onEvaluation,
    signal: context.signal,
    ...extra,
  });
  const prompts = ['a', 'b'].map(textPrompt);
  const { prompts: tokens } = await context.model.tokenize(prompts, [], context.signal);
  const [a, b] = prompts.map((prompt, i) => evaluator.prepare(prompt, tokens[i]!));
  const bank = await context.saes.ablations(FEATURES, INSTRUCTION, context.signal);
  return { context, facts, evaluator, a: a!, b: b!, bank };
}

describe('evaluator', () => {
  it('answers in the order of the asks although results come in any order', async () => {
    const { evaluator, a, b, bank } = await open();
    const masks = [[], [0], [3], [0, 3], [0, 1, 3]];
    const asks = [a, b].flatMap((prompt) => masks.map((on) => ({ prompt, bank, on })));
    const scores = (await evaluator.evaluate(asks)).map((evaluation) => evaluation.refusalScore);
    expect(scores).toEqual([3, 3, 3, -3, -3, 3, 3, 3, -3, -3]);
  });

  it('asks the model once for masks that repeat, within a call, in flight and later', async () => {
    const { context, evaluator, a, bank } = await open();
    const ask = { prompt: a, bank, on: [0, 3] };
    await Promise.all([evaluator.evaluate([ask, ask]), evaluator.evaluate([{ ...ask, on: [3, 0] }])]);
    await evaluator.evaluate([ask]);
    expect(context.model.asked).toEqual(['a:3/1+5/2']);
    expect(evaluator.counts()).toEqual({ asked: 1, reused: 0 });
  });

  it('takes what is known from the request, and knows it through another bank too', async () => {
    const { context, evaluator, a, bank } = await open();
    await evaluator.evaluate([{ prompt: a, bank, on: [0, 3] }]);
    const again = await open(OPTIONS, { known: context.records as never[] });
    const smaller = await again.context.saes.ablations([FEATURES[0]!, FEATURES[3]!], INSTRUCTION, again.context.signal);
    const [evaluation] = await again.evaluator.evaluate([{ prompt: again.a, bank: smaller, on: [0, 1] }]);
    expect(evaluation!.refusalScore).toBe(-3);
    expect(again.context.model.asked).toEqual([]);
    expect(again.context.records).toEqual([]);
    expect(again.evaluator.counts()).toEqual({ asked: 1, reused: 1 });
  });

  it('asks again for a known evaluation that lacks the KL that is wanted', async () => {
    const { context, evaluator, a, bank } = await open();
    await evaluator.evaluate([{ prompt: a, bank, on: [0] }]);
    const again = await open(OPTIONS, { known: context.records as never[] });
    const [evaluation] = await again.evaluator.evaluate([{ prompt: again.a, bank, on: [0] }], { firstTokenKl: true });
    expect(evaluation!.firstTokenKl).toBe(0.01);
    expect(again.context.model.asked).toHaveLength(1);
  });

  it('counts a mask whose edits change nothing as reused', async () => {
    const { evaluator, a, bank } = await open();
    await evaluator.evaluate([
      { prompt: a, bank, on: [2] },
      { prompt: a, bank, on: [] },
    ]);
    expect(evaluator.counts()).toEqual({ asked: 2, reused: 1 });
  });

  it('sends bounded batches, at most so many at a time, with no more prompts than the model takes', async () => {
    const { context, evaluator, a, b, bank } = await open(
      { ...OPTIONS, limits: { maxPrompts: 1 } },
      { batchSize: 3, concurrency: 2 },
    );
    const masks = Array.from({ length: 16 }, (_, bits) => [0, 1, 2, 3].filter((edit) => (bits >> edit) & 1));
    await evaluator.evaluate([a, b].flatMap((prompt) => masks.map((on) => ({ prompt, bank, on }))));
    expect(Math.max(...context.model.batches)).toBe(3);
    expect(context.model.batches.reduce((sum, size) => sum + size)).toBe(32);
    expect(context.model.mostInFlight()).toBe(2);
  });

  it('reports each result before its batch has ended, and stops between batches when cancelled', async () => {
    const seen: number[] = [];
    const opened = await open(
      {
        ...OPTIONS,
        beforeResults: () => {
          seen.push(opened.context.records.length);
          opened.context.abort.abort();
        },
      },
      { batchSize: 4, concurrency: 1 },
    );
    const masks = Array.from({ length: 12 }, (_, bits) => [0, 1, 2, 3].filter((edit) => (bits >> edit) & 1));
    const call = opened.evaluator.evaluate(masks.map((on) => ({ prompt: opened.a, bank: opened.bank, on })));
    await expect(call).rejects.toMatchObject({ code: 'CANCELLED', message: expect.stringContaining('was cancelled') });
    expect(seen).toEqual([2]);
    expect(opened.context.records.length).toBe(4);
  });

  it('says so when the model answers less than it was asked', async () => {
    const opened = await open();
    const { evaluate } = opened.context.model;
    opened.context.model.evaluate = async function* (batch, signal) {
      for await (const results of evaluate(batch, signal)) {
        yield results.slice(0, 1);
        return;
      }
    };
    const asks = [[0], [1], [3]].map((on) => ({ prompt: opened.a, bank: opened.bank, on }));
    await expect(opened.evaluator.evaluate(asks)).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
      message: 'Inference answered 1 of 3 evaluations, then ended.',
    });
  });
});

describe('content address of an evaluation', () => {
  const edit = (value: number, name: string, positions = INSTRUCTION) => {
    const row = { rows: 1, cols: 2, data: Float32Array.of(value, 1) };
    const one = Float32Array.of(0);
    return { layer: 3, names: [name], read: row, bias: one, threshold: one, write: row, target: one, positions };
  };

  it('follows the edits that are on, not their names, order or bank', () => {
    const bank = createBank([edit(1, 'x'), edit(2, 'y'), edit(3, 'z')]);
    const other = createBank([edit(3, 'renamed'), edit(1, 'too')]);
    expect(keyOf('p', bank, [0, 2])).toBe(keyOf('p', bank, [2, 0]));
    expect(keyOf('p', bank, [0, 2])).toBe(keyOf('p', other, [0, 1]));
    expect(keyOf('p', bank, [])).toBe(keyOf('p', EMPTY_BANK, []));
  });

  it('changes with the rows, the positions and the prefix', () => {
    const keys = [
      keyOf('p', createBank([edit(1, 'x')]), [0]),
      keyOf('p', createBank([edit(1.0000001, 'x')]), [0]),
      keyOf('p', createBank([edit(1, 'x', EVERY_POSITION)]), [0]),
      keyOf('q', createBank([edit(1, 'x')]), [0]),
      keyOf('p', createBank([edit(1, 'x')]), []),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('refuses a layer whose parts differ in length', () => {
    expect(() => createBank([{ ...edit(1, 'x'), names: ['x', 'y'] }])).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH', message: expect.stringContaining('layer 3 have 2 names') }),
    );
  });
});
