/** Bulk evaluation over both engines. The stand-in for the engine computes a number from prompt and mask that the test computes as well. */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type {
  EvaluateMasksRequest,
  EvaluateMasksResponse,
  EvaluationResult,
} from '../../../../proto/gen/refusalscope/v1/inference.js';
import type { EditBank, Prompt } from '../../../../proto/gen/refusalscope/v1/types.js';
import type { Bus, ConsumeOptions, Consumption } from '../../../../shared/bus/bus.js';
import {
  type EvaluateMasks,
  openEvaluationQueue,
  type PublishEvaluationsOptions,
  publishEvaluations,
  serveEvaluations,
} from '../../../../shared/bus/evaluation-work.js';
import { fault } from '../../../../shared/errors/fault.js';
import { createKit, FAST, type OpenBus, refusal } from './kit.js';

const MODEL = { name: 'org/model 1', digest: 'd'.repeat(64) };
const BANK: EditBank = {
  layers: [
    {
      layer: 3,
      read: undefined,
      bias: undefined,
      threshold: undefined,
      write: undefined,
      target: undefined,
      positions: undefined,
      names: ['3/1'],
    },
  ],
};

const prompt = (i: number): Prompt => ({
  id: `p${i}`,
  input: { $case: 'text', value: `prompt ${i}` },
  instructionStart: undefined,
});

/** @param pairs prompt and mask of each evaluation */
const requestOf = (prompts: number, pairs: readonly (readonly [number, number])[]): EvaluateMasksRequest => ({
  model: MODEL.name,
  prompts: Array.from({ length: prompts }, (_, i) => prompt(i)),
  bank: { bank: { $case: 'inline', value: BANK } },
  score: undefined,
  evaluations: pairs.map(([promptIndex, mask]) => ({ promptIndex, mask: { bits: Buffer.from([mask]) } })),
  firstTokenKl: false,
});

const scoreOf = (id: string, mask: number): number => Number(id.slice(1)) * 1_000 + mask;

const resultOf = (request: EvaluateMasksRequest, index: number): EvaluationResult => {
  const { promptIndex, mask } = request.evaluations[index]!;
  const refusalScore = scoreOf(request.prompts[promptIndex]!.id, mask?.bits[0] ?? 0);
  const rest = { firstTokenScore: 0, pI: 0, proof: [], acted: true, firstTokenKl: undefined, tokenBlocks: 1 };
  return { evaluationIndex: index, refusalScore, ...rest };
};

/** Answers each request in two responses, the last evaluations first. */
const standIn = (onRequest: (request: EvaluateMasksRequest) => unknown = () => undefined): EvaluateMasks =>
  async function* evaluate(request): AsyncGenerator<EvaluateMasksResponse> {
    await onRequest(request);
    const indices = request.evaluations.map((_, i) => i).reverse();
    const half = Math.ceil(indices.length / 2);
    for (const part of [indices.slice(0, half), indices.slice(half)]) {
      yield { results: part.map((i) => resultOf(request, i)), bankDigest: 'engine-name-of-the-bank' };
    }
  };

const pairsOf = (prompts: number, masks: number): [number, number][] =>
  Array.from({ length: prompts * masks }, (_, i) => [i % prompts, Math.floor(i / prompts)]);

export const describeEvaluations = (engine: string, openBus: OpenBus): void => {
  describe(`evaluations, ${engine}`, () => {
    const { newBus, closeLater } = createKit(openBus);
    const serve = async (bus: Bus, evaluate: EvaluateMasks, options: ConsumeOptions = FAST): Promise<Consumption> => {
      const consumption = await serveEvaluations(bus, MODEL, evaluate, options);
      closeLater(() => consumption.drain(0));
      return consumption;
    };
    const collect = async (
      bus: Bus,
      request: EvaluateMasksRequest,
      options: Partial<PublishEvaluationsOptions> = {},
    ): Promise<number[]> => {
      const own = { requester: 'audit-1', modelDigest: MODEL.digest, ...options };
      const scores: number[] = [];
      for await (const { results } of publishEvaluations(bus, request, own)) {
        for (const { evaluationIndex, refusalScore } of results) {
          expect(scores[evaluationIndex], `evaluation ${evaluationIndex} came twice`).toBeUndefined();
          scores[evaluationIndex] = refusalScore;
        }
      }
      return scores;
    };

    it('gives every evaluation its own result, whatever batch it went with', async () => {
      const bus = await newBus();
      const sizes: number[] = [];
      await serve(
        bus,
        standIn((request) => sizes.push(request.evaluations.length)),
        { ...FAST, concurrency: 3 },
      );
      const pairs = pairsOf(7, 13);
      const scores = await collect(bus, requestOf(7, pairs), { batchSize: 10 });
      expect(scores).toEqual(pairs.map(([p, mask]) => scoreOf(`p${p}`, mask)));
      expect(Math.max(...sizes)).toBe(10);
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(91);
    });

    it('keeps the evaluations of a prompt together where they fit into a batch', async () => {
      const bus = await newBus();
      const promptsOfBatches: string[][] = [];
      await serve(
        bus,
        standIn(({ prompts }) => promptsOfBatches.push(prompts.map(({ id }) => id))),
      );
      await collect(bus, requestOf(5, pairsOf(5, 4)), { batchSize: 10 });
      expect(promptsOfBatches.sort()).toEqual([['p0', 'p1'], ['p2', 'p3'], ['p4']]);
    });

    it('computes nothing again that was computed before, for any requester', async () => {
      const bus = await newBus();
      let computed = 0;
      await serve(
        bus,
        standIn(({ evaluations }) => {
          computed += evaluations.length;
        }),
      );
      const request = requestOf(3, pairsOf(3, 8));
      const first = await collect(bus, request);
      const second = await collect(bus, request, { requester: 'audit-2' });
      expect(second).toEqual(first);
      expect(computed).toBe(24);
    });

    it('shares items that two requesters ask for at the same time', async () => {
      const bus = await newBus();
      let computed = 0;
      const request = requestOf(3, pairsOf(3, 8));
      const both = ['a', 'b'].map((requester) => collect(bus, request, { requester, batchSize: 8 }));
      await serve(
        bus,
        standIn(({ evaluations }) => {
          computed += evaluations.length;
        }),
      );
      const [a, b] = await Promise.all(both);
      expect(a).toEqual(b);
      expect(computed).toBe(24);
    });

    it('goes on from the stored results after a requester that gave up, and takes back what it had queued', async () => {
      const bus = await newBus();
      const stop = new AbortController();
      let computed = 0;
      await serve(
        bus,
        standIn(async ({ evaluations }) => {
          computed += evaluations.length;
          if (computed >= 24) stop.abort();
          await sleep(30);
        }),
        { ...FAST, concurrency: 1 },
      );
      const request = requestOf(10, pairsOf(10, 8));
      const gaveUp = collect(bus, request, { batchSize: 8, signal: stop.signal });
      await expect(gaveUp).rejects.toEqual(refusal('CANCELLED', /stopped waiting/));
      const scores = await collect(bus, request, { batchSize: 8 });
      expect(scores).toHaveLength(80);
      expect(computed).toBe(80);
      expect((await (await openEvaluationQueue(bus, MODEL.name)).load()).waiting).toBe(0);
    });

    it('ends a poison batch as a fault to the requester and a dead letter, and the rest of the mesh goes on', async () => {
      const bus = await newBus();
      await serve(
        bus,
        standIn(({ prompts }) => {
          if (prompts.some(({ id }) => id === 'p3'))
            throw fault('PROMPT_TOO_LONG', 'Prompt p3 has 9000 tokens; 8192 fit.');
        }),
      );
      const poisoned = collect(bus, requestOf(5, pairsOf(5, 4)), { batchSize: 4 });
      await expect(poisoned).rejects.toEqual(refusal('PROMPT_TOO_LONG', /^Prompt p3 has 9000 tokens; 8192 fit\.$/));
      const letters = await (await openEvaluationQueue(bus, MODEL.name)).deadLetters();
      expect(letters.map(({ requester, failure }) => [requester, failure.code])).toEqual([
        ['audit-1', 'PROMPT_TOO_LONG'],
      ]);
      expect(await collect(bus, requestOf(3, pairsOf(3, 4)))).toHaveLength(12);
    });

    it('asks again after an old failure', async () => {
      const bus = await newBus();
      let isWell = false;
      await serve(
        bus,
        standIn(() => {
          if (!isWell) throw fault('NOT_FINITE', 'bad');
        }),
      );
      const request = requestOf(1, pairsOf(1, 4));
      await expect(collect(bus, request)).rejects.toEqual(refusal('NOT_FINITE', /bad/));
      isWell = true;
      expect(await collect(bus, request)).toHaveLength(4);
    });

    it('computes a batch again whose results were not complete', async () => {
      const bus = await newBus();
      let runs = 0;
      await serve(bus, async function* evaluate(request) {
        runs++;
        const indices = request.evaluations.map((_, i) => i).slice(runs === 1 ? 1 : 0);
        yield { results: indices.map((i) => resultOf(request, i)), bankDigest: 'b' };
      });
      expect(await collect(bus, requestOf(1, pairsOf(1, 4)))).toEqual([0, 1, 2, 3]);
      expect(runs).toBe(2);
    });

    it('sends the bank to the engine once, and again when the engine forgot it', async () => {
      const bus = await newBus();
      const sent: string[] = [];
      let forgets = false;
      await serve(
        bus,
        standIn(({ bank }) => {
          sent.push(bank?.bank?.$case ?? 'none');
          if (bank?.bank?.$case === 'inline') expect(bank.bank.value).toEqual(BANK);
          else if (forgets) throw fault('BANK_UNKNOWN', 'no such bank');
        }),
        { ...FAST, concurrency: 1 },
      );
      await collect(bus, requestOf(2, pairsOf(2, 4)), { batchSize: 4 });
      forgets = true;
      await collect(bus, requestOf(3, [[2, 1]]));
      expect(sent).toEqual(['inline', 'digest', 'digest', 'inline']);
    });

    it('hands an item on when a pod serves other weights under the same name', async () => {
      const bus = await newBus();
      const old = await serveEvaluations(bus, { ...MODEL, digest: 'e'.repeat(64) }, standIn(), {
        ...FAST,
        maxDeliver: 50,
      });
      closeLater(() => old.drain(0));
      const asked = collect(bus, requestOf(1, pairsOf(1, 4)));
      await sleep(200);
      await old.drain(0);
      await serve(bus, standIn(), { ...FAST, maxDeliver: 50 });
      expect(await asked).toEqual([0, 1, 2, 3]);
      expect(old.counts().done).toBe(0);
    });

    it('lets a small audit through while a large one runs', async () => {
      const bus = await newBus();
      let finished = 0;
      await serve(
        bus,
        standIn(async () => {
          await sleep(20);
          finished++;
        }),
        { ...FAST, concurrency: 2 },
      );
      const large = collect(bus, requestOf(100, pairsOf(100, 1)), { requester: 'large', batchSize: 1 });
      await expect.poll(() => finished, { interval: 5 }).toBeGreaterThan(10);
      const before = finished;
      await collect(bus, requestOf(3, pairsOf(3, 8)), { requester: 'small', batchSize: 8 });
      // The window is 2 x 2 slots: what the large audit had queued, and what took turns with the three items.
      expect(finished - before).toBeLessThan(20);
      await large;
    });

    it('refuses a request without a model, without a bank, or with a prompt index beyond its prompts', async () => {
      const bus = await newBus();
      const request = requestOf(2, pairsOf(2, 1));
      await expect(collect(bus, { ...request, model: '' })).rejects.toEqual(
        refusal('REQUEST_INVALID', /names no model/),
      );
      await expect(collect(bus, { ...request, bank: undefined })).rejects.toEqual(
        refusal('REQUEST_INVALID', /no bank/),
      );
      await expect(collect(bus, requestOf(2, [[2, 0]]))).rejects.toEqual(
        refusal('REQUEST_INVALID', /Evaluation 0 names prompt 2; the request has 2 prompts/),
      );
    });
  });
};
