/** The search service on the embedded model, through real inference and SAE services. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type EvaluationRecord,
  type FeatureRankings,
  FilterMethod,
  type MinimalSet,
  MinimalSet_Outcome,
  type OpenerCalibration,
  type RankingMeasurements,
  SearchServiceDefinition,
} from '../../../proto/gen/refusalscope/v1/search.js';
import { PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';
import { type RunningSaeService, startSaeService } from '../../../services/sae/start.js';
import { createMeanDifference } from '../../../services/search/directions/mean-difference.js';
import { type RunningSearchService, startSearchService } from '../../../services/search/start.js';
import { createInferenceModel } from '../../../services/search/wire/inference-client.js';
import { projectRoot } from '../../../shared/project/root.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { encodeRow } from '../../../shared/tensors/matrix.js';
import {
  type EmbeddedInference,
  golden,
  goldenScore,
  promptText,
  startEmbeddedInference,
  textPrompt,
} from '../inference/embedded-inference.js';

const LAYERS = [5, 9, 13, 17, 21, 25];
const FIT_PAIRS = 48;

let inference: EmbeddedInference;
let sae: RunningSaeService;
let search: RunningSearchService;
let connection: Connection<typeof SearchServiceDefinition>;

beforeAll(async () => {
  inference = await startEmbeddedInference();
  sae = await startSaeService({ saeDirs: [join(projectRoot, 'models/saes')], listen: '127.0.0.1:0' });
  search = await startSearchService({
    inferenceAddress: inference.address,
    saeAddress: sae.address,
    listen: '127.0.0.1:0',
  });
  connection = connect(SearchServiceDefinition, search.address);
});
afterAll(async () => {
  connection?.close();
  await search?.stop();
  await sae?.stop();
  await inference?.stop();
});

const goldenDirections = () => {
  const file = openSafetensors(join(projectRoot, 'test/fixtures/golden/directions.safetensors'));
  const read = (layer: number) => file.readFloat32(`direction.${layer}`);
  const vectors = new Map(Array.from({ length: 30 }, (_, layer) => [layer, read(layer)]));
  file.close();
  return vectors;
};
const idsOf = (label: string, count: number) =>
  [...promptText.keys()].filter((id) => id.endsWith(`-${label}`)).slice(0, count);

async function drain<Result>(stream: AsyncIterable<{ event?: { $case: string; value: unknown } | undefined }>) {
  const records: EvaluationRecord[] = [];
  let result: Result | undefined;
  for await (const { event } of stream) {
    if (event?.$case === 'evaluation') records.push(event.value as EvaluationRecord);
    if (event?.$case === 'result') result = event.value as Result;
  }
  return { result: result!, records };
}

describe('search on the embedded model', () => {
  it('fits the directions that PyTorch fitted on the same prompts, at every layer', async () => {
    const model = createInferenceModel(inference.client);
    const layers = Array.from({ length: 30 }, (_, layer) => layer);
    const means = createMeanDifference(layers, [-1], 576);
    for (const label of ['harmful', 'harmless'] as const) {
      const prompts = idsOf(label, FIT_PAIRS).map((id) => ({
        id,
        input: { kind: 'text' as const, text: promptText.get(id)! },
      }));
      const request = { prompts, layers, positions: [-1] };
      for await (const { residuals } of model.capture(request, new AbortController().signal))
        means.add(label, residuals);
    }
    const truth = goldenDirections();
    for (const { layer, vector } of means.directions()) {
      const expected = truth.get(layer)!;
      const cosine = vector.reduce((sum, value, i) => sum + value * expected[i]!, 0);
      expect(cosine).toBeGreaterThan(0.99999);
    }
  });

  it("calibrates the golden openers from the model's own answers", async () => {
    const prompts = [
      ...idsOf('harmful', 8).map((id) => ({ prompt: textPrompt(id), label: PromptLabel.PROMPT_LABEL_HARMFUL })),
      ...idsOf('harmless', 8).map((id) => ({ prompt: textPrompt(id), label: PromptLabel.PROMPT_LABEL_HARMLESS })),
    ];
    const { result } = await drain<OpenerCalibration>(connection.client.calibrateOpeners({ prompts }));
    const sorted = (ids: readonly { ids: number[] }[]) => ids.map(({ ids: own }) => own.join()).sort();
    expect(sorted(result.score!.openers)).toEqual(sorted(goldenScore.openers));
    expect(result.score).toMatchObject({ firstTokenIds: golden.refusal_tokens, iTokenId: golden.I_token });
    expect(result).toMatchObject({
      harmfulRefused: 8,
      harmfulTotal: 8,
      harmlessRefused: 0,
      harmlessTotal: 8,
      agreementTotal: 16,
    });
    expect(result.scoreJudgeAgreement).toBeGreaterThan(0.9);
    for (const { promptId, refusalScore } of result.baselines) {
      const clean = golden.clean.find(({ id }) => id === promptId);
      if (clean !== undefined) expect(Math.abs(refusalScore - clean.refusal_score)).toBeLessThan(0.001);
    }
  });

  it("finds certified sets with at most a third of greedy's evaluations, and asks nothing twice", async () => {
    const truth = goldenDirections();
    const directions = LAYERS.slice(0, 5).map((layer) => ({
      layer,
      position: -1,
      vector: encodeRow(truth.get(layer)!),
      rawNorm: 1,
    }));
    let ours = 0;
    let theirs = 0;
    for (const id of idsOf('harmful', 4)) {
      const request = { prompt: textPrompt(id), score: goldenScore, directions, growth: [10, 20] };
      const group = await drain<MinimalSet>(connection.client.filterPrompt(request));
      const greedy = await drain<MinimalSet>(
        connection.client.filterPrompt({ ...request, method: FilterMethod.FILTER_METHOD_GREEDY }),
      );
      for (const { result } of [group, greedy]) {
        expect(result.outcome).toBe(MinimalSet_Outcome.OUTCOME_FOUND);
        expect(result.oneMinimal).toBe(true);
        expect(result.setScore).toBeLessThan(0);
        expect(result.members.every(({ restoredScore }) => restoredScore > 0)).toBe(true);
        expect(result.proof.length).toBeGreaterThan(0);
      }
      expect(group.result.members.length).toBeLessThanOrEqual(greedy.result.members.length);
      ours += group.result.evaluations;
      theirs += greedy.result.evaluations;
      const again = await drain<MinimalSet>(connection.client.filterPrompt({ ...request, known: group.records }));
      expect(again.records).toEqual([]);
      expect({ ...again.result, evaluationsReused: 0 }).toEqual({ ...group.result, evaluationsReused: 0 });
    }
    expect(ours).toBeLessThanOrEqual(theirs / 3);
  });

  it('flips in text what it flips in score, where random controls do not', async () => {
    const cases = [{ prompt: textPrompt('p002-harmful'), set: [{ layer: 17, index: 1827 }], score: -1.7 }];
    const verified = await drain(connection.client.verifyFlips({ cases, maxNewTokens: 24 }));
    expect(verified.result).toMatchObject({ complied: 1, total: 1, agree: 1, agreeTotal: 1 });
    const request = { cases, score: goldenScore, draws: 3, seed: 1, layers: LAYERS };
    const controls = await drain(connection.client.runControls(request));
    expect(controls.result).toMatchObject({
      randomFeatures: { flips: 0, total: 3 },
      randomActiveFeatures: { flips: 0, total: 3, didNotAct: 0 },
      randomDirections: { flips: 0, total: 3, didNotAct: 0 },
    });
  });

  it('ranks features by activation so that the first ones are more active on harmful prompts, and off they lower the score', async () => {
    const truth = goldenDirections();
    const layers = [13, 17, 21];
    const directions = layers.map((layer) => ({
      layer,
      position: -1,
      vector: encodeRow(truth.get(layer)!),
      rawNorm: 1,
    }));
    const prompts = [
      ...idsOf('harmful', 8).map((id) => ({ prompt: textPrompt(id), label: PromptLabel.PROMPT_LABEL_HARMFUL })),
      ...idsOf('harmless', 8).map((id) => ({ prompt: textPrompt(id), label: PromptLabel.PROMPT_LABEL_HARMLESS })),
    ];
    const { result } = await drain<FeatureRankings>(connection.client.rankFeatures({ prompts, directions, count: 20 }));
    expect(result.probeTotal).toBe(16);
    expect(result.probeRight).toBeGreaterThanOrEqual(13);
    const lists = [result.cosine, result.activationDifference, result.probeWeight];
    for (const list of lists) {
      expect(list).toHaveLength(20);
      expect(list.map(({ value }) => value)).toEqual(list.map(({ value }) => value).sort((a, b) => b - a));
    }
    const rankings = lists.map((list, i) => ({ name: `${i}`, features: list.map(({ feature }) => feature!) }));
    const request = { prompts: [textPrompt('p002-harmful')], score: goldenScore, rankings, counts: [20] };
    const measured = await drain<RankingMeasurements>(
      connection.client.measureRankings({ ...request, randomLayers: layers, seed: 3 }),
    );
    const changeOf = (points: readonly { arm?: { meanScoreChange: number } | undefined }[]) =>
      points[0]!.arm!.meanScoreChange;
    const random = changeOf(measured.result.randomActive);
    for (const { points } of measured.result.rankings.slice(0, 2)) expect(changeOf(points)).toBeLessThan(random);
  });

  it('names the feature that its SAE lacks', async () => {
    const set = [{ layer: 17, index: 999_999 }];
    const call = drain(connection.client.findDormant({ prompt: textPrompt('p001-harmful'), score: goldenScore, set }));
    await expect(call).rejects.toMatchObject({ code: 'FEATURE_UNKNOWN' });
  });
});
