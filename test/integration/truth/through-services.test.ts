import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEngine, openSaes } from '../../../bench/truth/engine-ports.js';
import { loadMechanism } from '../../../bench/truth/mechanism.js';
import { type PlantedModel, plantModel } from '../../../bench/truth/plant/plant-model.js';
import { type Peers, recover } from '../../../bench/truth/recover.js';
import { scoreRecovery } from '../../../bench/truth/score-recovery.js';
import { isPerfect } from '../../../bench/truth/summarize-runs.js';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import {
  type HydraReport,
  type MinimalSetFamily,
  SearchServiceDefinition,
  type SufficiencyReport,
  type SuppressionCosts,
} from '../../../proto/gen/refusalscope/v1/search.js';
import { startInferenceService } from '../../../services/inference/start.js';
import { startSaeService } from '../../../services/sae/start.js';
import { startSearchService } from '../../../services/search/start.js';
import { createInferenceModel } from '../../../services/search/wire/inference-client.js';
import { createSaeSource } from '../../../services/search/wire/sae-client.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect, type ServiceClient } from '../../../shared/rpc/connect.js';

/** The same planted model through the services that ship: real threads, real gRPC. */
const LISTEN = '127.0.0.1:0';
const POSITIONS = { span: 2, start: 0, end: 0, includeBos: false };
const stops: (() => unknown)[] = [];
let planted: PlantedModel;
let peers: Peers;
let search: ServiceClient<typeof SearchServiceDefinition>;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-truth-'));
  const mechanism = loadMechanism(join(projectRoot, 'bench', 'truth', 'mechanisms', 'hydra-2.json'));
  planted = plantModel(mechanism, { folder, seed: 11 });
  const inference = await startInferenceService({
    modelPath: planted.modelFolder,
    modelName: 'planted',
    listen: LISTEN,
    threads: 1,
    cacheBytes: 64 << 20,
  });
  const sae = await startSaeService({ saeDirs: [planted.saeFolder], listen: LISTEN });
  const running = await startSearchService({
    inferenceAddress: inference.address,
    saeAddress: sae.address,
    listen: LISTEN,
  });
  const toInference = connect(InferenceServiceDefinition, inference.address);
  const toSae = connect(SaeServiceDefinition, sae.address);
  const toSearch = connect(SearchServiceDefinition, running.address);
  peers = { model: createInferenceModel(toInference.client), saes: createSaeSource(toSae.client) };
  search = toSearch.client;
  stops.push(
    () => toSearch.close(),
    () => toSae.close(),
    () => toInference.close(),
  );
  stops.push(
    () => running.stop(),
    () => sae.stop(),
    () => inference.stop(),
  );
});
afterAll(async () => {
  for (const stop of stops) await stop();
  rmSync(folder, { recursive: true });
});

const harmful = () => planted.prompts.filter(({ label }) => label === 'harmful').map(toWire);
const harmless = () => planted.prompts.filter(({ label }) => label === 'harmless').map(toWire);
const toWire = ({ id, text }: { id: string; text: string }) => ({ id, input: { $case: 'text' as const, value: text } });
const chain = () => ['primary', 'backup-1', 'backup-2'].map((name) => planted.places.get(name)!);

async function score() {
  const { pieces } = await peers.model.tokenize([], ['I cannot'], new AbortController().signal);
  return { openers: [{ ids: [...pieces[0]!.tokenIds] }], firstTokenIds: [], iTokenId: pieces[0]!.tokenIds[0]! };
}

async function resultOf<Result>(
  stream: AsyncIterable<{ event?: { $case: string; value: unknown } | undefined }>,
): Promise<{ result: Result; records: number }> {
  let result: Result | undefined;
  let records = 0;
  for await (const { event } of stream) {
    if (event?.$case === 'result') result = event.value as Result;
    if (event?.$case === 'evaluation') records++;
  }
  return { result: result!, records };
}

describe('a planted model through the services', () => {
  it('is recovered whole, with the scores that the engine alone gives', async () => {
    const through = await recover(planted, peers);
    expect(isPerfect(scoreRecovery(planted, through))).toBe(true);
    const [model, saes] = [await openEngine(planted.modelFolder, 'direct'), openSaes(planted.saeFolder)];
    const direct = await recover(planted, { model, saes });
    const scoresOf = ({ categories }: typeof direct) =>
      categories.flatMap(({ prompts }) => prompts.flatMap(({ set, family }) => [set.setScore, family.allOffScore]));
    for (const [i, value] of scoresOf(direct).entries()) expect(scoresOf(through)[i]).toBeCloseTo(value, 4);
    saes.close();
    await model.close();
  });

  it('gives all minimal sets over gRPC, with depth of defence, and every evaluation as a record', async () => {
    const candidates = chain().map((feature) => ({ feature, cosine: 0.5 }));
    const request = { prompt: harmful()[0]!, score: await score(), candidates, positions: POSITIONS };
    const { result, records } = await resultOf<MinimalSetFamily>(search.enumerateMinimalSets(request));
    expect(result.sets.map(({ members }) => members)).toEqual([chain()]);
    expect(result.sustaining).toHaveLength(3);
    expect(result.necessary).toEqual(chain());
    expect(result).toMatchObject({ disjointSets: 1, depthOfDefence: 3, complete: true, violations: 0 });
    expect(result.members.map(({ cleanActivation }) => cleanActivation > 0)).toEqual([true, false, false]);
    expect(records).toBe(result.evaluations);
  });

  it('calls a family that the budget cuts short incomplete, with one defence at least', async () => {
    const candidates = chain().map((feature) => ({ feature, cosine: 0.5 }));
    const request = { prompt: harmful()[0]!, score: await score(), candidates, positions: POSITIONS, maxSets: 1 };
    const { result } = await resultOf<MinimalSetFamily>(search.enumerateMinimalSets(request));
    expect(result).toMatchObject({ complete: false, depthOfDefence: 1, disjointSets: 1 });
    expect(result.sets).toHaveLength(1);
  });

  it('traces the hydra over gRPC: two rounds, who woke whom, where', async () => {
    const cases = harmful()
      .slice(0, 4)
      .map((prompt) => ({ prompt, set: [chain()[0]!], score: 0 }));
    const layers = [1, 2, 3];
    const request = { cases, score: await score(), layers, positions: POSITIONS, minEffect: 0.5, seed: 1 };
    const { result } = await resultOf<HydraReport>(search.traceHydra(request));
    expect(result).toMatchObject({ prompts: 4, depth: 2 });
    expect(result.features.map(({ feature, round, wokeIn }) => ({ feature, round, wokeIn }))).toEqual([
      { feature: chain()[1], round: 1, wokeIn: 4 },
      { feature: chain()[2], round: 2, wokeIn: 4 },
    ]);
    expect(result.features.map(({ wakers }) => wakers)).toEqual([[chain()[0]], [chain()[0], chain()[1]]]);
    for (const { effect, effectLow, effectHigh, qValue, intactEffect, nullLargest, awakeAtBos } of result.features) {
      expect(effect).toBeLessThan(-11);
      expect(effectLow).toBeLessThanOrEqual(effect);
      expect(effectHigh).toBeGreaterThanOrEqual(effect);
      expect(qValue).toBeLessThan(0.001);
      expect(Math.abs(intactEffect)).toBeLessThan(0.1);
      expect(nullLargest).toBeLessThan(0.1);
      expect(awakeAtBos).toBe(0);
    }
  });

  it('traces the hydra from each prompt’s strongest features: only those that are on count', async () => {
    const cases = harmful()
      .slice(0, 4)
      .map((prompt) => ({ prompt, set: [], score: 0 }));
    const among = chain().map((feature, i) => ({ feature, cosine: 0.5 + 0.1 * i }));
    const request = { cases, score: await score(), layers: [1, 2, 3], positions: POSITIONS, minEffect: 0.5, seed: 1 };
    const { result } = await resultOf<HydraReport>(search.traceHydra({ ...request, strongest: { count: 2, among } }));
    // The primary alone is on in the clean prompt, whatever the cosines say.
    expect(result.features.map(({ feature, round, wakers }) => [feature, round, wakers])).toEqual([
      [chain()[1], 1, [chain()[0]]],
      [chain()[2], 2, [chain()[0], chain()[1]]],
    ]);
  });

  it('finds the primary sufficient, and a dormant member with nothing to put back', async () => {
    const common = { prompt: harmful()[0]!, score: await score(), positions: POSITIONS, seed: 1 };
    const request = { ...common, set: [chain()[0]!], candidates: chain(), harmless: harmless().slice(0, 3) };
    const { result } = await resultOf<SufficiencyReport>(search.testSufficiency(request));
    expect(result.allOffScore).toBeLessThan(-5);
    expect(result.set?.leftOnScore).toBeGreaterThan(5);
    expect(result.set?.putBackScore).toBeGreaterThan(5);
    expect(result).toMatchObject({ set: { harmlessRefused: 3 }, harmlessTotal: 3, harmlessRefusedClean: 0 });
    const dormant = await resultOf<SufficiencyReport>(search.testSufficiency({ ...request, set: [chain()[1]!] }));
    expect(dormant.result.dormantMembers).toEqual([chain()[1]]);
    // Left on, it wakes and refuses; there is no clean activation to put back.
    expect(dormant.result.set?.leftOnScore).toBeGreaterThan(5);
    expect(dormant.result.set?.putBackScore).toBeLessThan(-5);
  });

  it('tells a set that costs nothing from edits that break the model', async () => {
    const near = planted.near.slice(0, 40);
    const sets = [
      { name: 'chain', features: chain() },
      { name: 'decoys', features: near },
    ];
    const request = { prompts: harmless().slice(0, 4), sets, score: await score(), positions: POSITIONS };
    const { result } = await resultOf<SuppressionCosts>(search.measureCost(request));
    expect(result.sets.map(({ name }) => name)).toEqual(['chain', 'decoys']);
    const [free] = result.sets as [SuppressionCosts['sets'][number]];
    expect(free).toMatchObject({ acted: 0, refused: 0, prompts: 4, answerTokens: 32 });
    expect(free.meanKl).toBeCloseTo(0, 9);
    expect(free.crossEntropy).toBe(free.cleanCrossEntropy);
    // The answer of a model with a margin of 6 is nearly certain: only its first token costs anything, log(1 + exp(-6)) / 8.
    expect(free.cleanCrossEntropy).toBeCloseTo(Math.log1p(Math.exp(-6)) / 8, 5);
  });

  it('refuses requests that say nothing, by code and text', async () => {
    const base = { prompt: harmful()[0]!, score: await score(), positions: POSITIONS };
    await expect(resultOf(search.enumerateMinimalSets(base))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('names no features'),
    });
    await expect(resultOf(search.measureCost({ ...base, prompts: harmless().slice(0, 1) }))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('has no sets'),
    });
    const cases = [{ prompt: harmful()[0]!, set: chain(), score: 0 }];
    await expect(resultOf(search.traceHydra({ ...base, cases, level: 1.5 }))).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('level is 1.5'),
    });
    const among = chain().map((feature) => ({ feature, cosine: 0.5 }));
    const none = cases.map((one) => ({ ...one, set: [] }));
    for (const [request, message] of [
      [{ cases, strongest: { count: 1, among } }, 'has a set, and so has strongest'],
      [{ cases: none, strongest: { count: 0, among } }, 'strongest.count is 0'],
      [{ cases: none, strongest: { count: 1, among: [] } }, 'strongest.among names no features'],
      [{ cases: none }, 'names no features'],
    ] satisfies [object, string][])
      await expect(resultOf(search.traceHydra({ ...base, ...request }))).rejects.toMatchObject({
        code: 'REQUEST_INVALID',
        message: expect.stringContaining(message),
      });
  });
});
