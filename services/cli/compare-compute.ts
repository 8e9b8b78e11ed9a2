/**
 * What a compute type costs in truth: the same evaluations in float32 and in another type, on the same prompts. An audit in a type that
 * flips other prompts than float32 does would be an audit of another model, so `audit` asks this first.
 */
import { CaptureResidualsRequest, InferenceServiceDefinition } from '../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../proto/gen/refusalscope/v1/sae.js';
import { fault } from '../../shared/errors/fault.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import { connect } from '../../shared/rpc/connect.js';
import { formatFeature } from '../../shared/tensors/feature-name.js';
import { decodeMatrix, encodeRow } from '../../shared/tensors/matrix.js';
import { INSTRUCTION_POSITIONS } from '../../shared/tensors/positions.js';
import { startInferenceService } from '../inference/start.js';
import type { ComputeDtype } from '../inference/thread/messages.js';
import type { SaeChoice } from '../sae/find-saes.js';
import { startSaeService } from '../sae/start.js';
import type { AskedLine } from './evaluate-line.js';
import { Evaluator } from './evaluator.js';

export interface ComparedFiles {
  readonly modelPath: string;
  readonly adapterPath?: string | undefined;
  readonly saeDirs: readonly string[];
  readonly saeChoice?: SaeChoice | undefined;
  readonly threads: number;
  readonly device?: string | undefined;
}

export interface ComparedPrompt {
  readonly text: string;
  readonly harmful: boolean;
}

export interface ComputeDifference {
  readonly compute: ComputeDtype;
  readonly evaluations: number;
  /** Of the refusal score, log-odds. */
  readonly max_difference: number;
  readonly mean_difference: number;
  /** Spearman's, over all evaluations. */
  readonly rank_correlation: number;
  /** Evaluations on the other side of 0 than in float32. */
  readonly flips_changed: number;
}

/** Masks a prompt: the clean one, and random sets of these shares of the candidates. */
const SHARES = [0, 0.1, 0.3, 0.5, 0.8, 1];
/** Candidates a layer, nearest to the difference of means. */
const CANDIDATES = 10;
const CACHE_BYTES = 256 << 20;

/** One difference a compute type; float32 runs once, first. Both labels must be there. */
export async function compareCompute(
  files: ComparedFiles,
  computes: readonly ComputeDtype[],
  prompts: readonly ComparedPrompt[],
  openers: readonly string[],
  onProgress: (text: string) => void = () => {},
): Promise<ComputeDifference[]> {
  if (!prompts.some(({ harmful }) => harmful) || prompts.every(({ harmful }) => harmful)) {
    throw fault('REQUEST_INVALID', 'Harmful and harmless prompts are both needed to compare compute types.');
  }
  onProgress('float32');
  const { lines, scores } = await withServices(files, 'float32', async (inference, sae) => {
    const asked = drawLines(prompts, await nearFeatures(inference, sae, prompts));
    return { lines: asked, scores: await scoreLines(inference, sae, openers, asked) };
  });
  const differences: ComputeDifference[] = [];
  for (const compute of computes) {
    onProgress(compute);
    const others = await withServices(files, compute, (inference, sae) => scoreLines(inference, sae, openers, lines));
    differences.push(differenceOf(compute, scores, others));
  }
  return differences;
}

async function withServices<Result>(
  { modelPath, adapterPath, saeDirs, saeChoice = {}, threads, device = 'cpu' }: ComparedFiles,
  compute: ComputeDtype,
  use: (inferenceAddress: string, saeAddress: string) => Promise<Result>,
): Promise<Result> {
  const listen = '127.0.0.1:0';
  const model = { modelPath, ...(adapterPath !== undefined && { adapterPath }), modelName: 'compared' };
  const inference = await startInferenceService({
    ...model,
    listen,
    threads,
    device,
    compute,
    cacheBytes: CACHE_BYTES,
  });
  try {
    const sae = await startSaeService({ saeDirs, choice: saeChoice, listen });
    try {
      return await use(inference.address, sae.address);
    } finally {
      await sae.stop();
    }
  } finally {
    await inference.stop();
  }
}

async function scoreLines(
  inferenceAddress: string,
  saeAddress: string,
  openers: readonly string[],
  lines: readonly AskedLine[],
): Promise<number[]> {
  const evaluator = await Evaluator.open(inferenceAddress, saeAddress, openers);
  try {
    const answers = await evaluator.evaluate(lines);
    return answers.map((answer) => {
      if ('error' in answer) throw fault('INTERNAL', `An evaluation of the comparison failed: ${answer.error.message}`);
      return answer.refusal_score;
    });
  } finally {
    evaluator.close();
  }
}

/** Features nearest to the last-position difference of means, at every SAE layer. */
async function nearFeatures(
  inferenceAddress: string,
  saeAddress: string,
  prompts: readonly ComparedPrompt[],
): Promise<string[]> {
  const inference = connect(InferenceServiceDefinition, inferenceAddress);
  const sae = connect(SaeServiceDefinition, saeAddress);
  try {
    const { saes } = await sae.client.listSaes({});
    const layers = saes.map(({ layer }) => layer).sort((a, b) => a - b);
    const request = CaptureResidualsRequest.fromPartial({
      prompts: prompts.map(({ text }, i) => ({ id: String(i), input: { $case: 'text', value: text } })),
      layers,
      positions: [-1],
    });
    const differences = new Map<number, Float32Array>();
    const harmful = prompts.filter((prompt) => prompt.harmful).length;
    for await (const captured of inference.client.captureResiduals(request)) {
      const isHarmful = prompts[captured.promptIndex].harmful;
      const weight = isHarmful ? 1 / harmful : -1 / (prompts.length - harmful);
      for (const { layer, residual } of captured.layers) {
        const { data } = decodeMatrix(residual, { name: 'residual' });
        const sum = differences.get(layer) ?? new Float32Array(data.length);
        for (let i = 0; i < data.length; i++) sum[i] += weight * data[i];
        differences.set(layer, sum);
      }
    }
    const names: string[] = [];
    for (const [layer, difference] of differences) {
      const { features } = await sae.client.findNearestFeatures({
        layer,
        vector: encodeRow(difference),
        count: CANDIDATES,
      });
      names.push(...features.flatMap(({ feature }) => (feature === undefined ? [] : [formatFeature(feature)])));
    }
    return names;
  } finally {
    inference.close();
    sae.close();
  }
}

function drawLines(prompts: readonly ComparedPrompt[], features: readonly string[]): AskedLine[] {
  const random = createSeededRandom(0);
  return prompts.flatMap(({ text }) =>
    SHARES.map((share) => ({
      prompt: text,
      edits: features.filter(() => random.uniform() < share).map((feature) => ({ feature, target: 0 })),
      positions: INSTRUCTION_POSITIONS,
    })),
  );
}

function differenceOf(compute: ComputeDtype, exact: readonly number[], other: readonly number[]): ComputeDifference {
  const differences = exact.map((score, i) => Math.abs(score - other[i]));
  return {
    compute,
    evaluations: exact.length,
    max_difference: Math.max(...differences),
    mean_difference: differences.reduce((sum, value) => sum + value, 0) / differences.length,
    rank_correlation: correlation(ranks(exact), ranks(other)),
    flips_changed: exact.filter((score, i) => score < 0 !== other[i] < 0).length,
  };
}

/** Rank of each value; ties share their mean rank. */
function ranks(values: readonly number[]): number[] {
  const order = [...values.keys()].sort((a, b) => values[a] - values[b]);
  const result = new Array<number>(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to + 1 < order.length && values[order[to + 1]] === values[order[from]]) to++;
    for (let i = from; i <= to; i++) result[order[i]] = (from + to) / 2;
    from = to + 1;
  }
  return result;
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let ab = 0;
  let aa = 0;
  let bb = 0;
  a.forEach((value, i) => {
    ab += (value - meanA) * (b[i] - meanB);
    aa += (value - meanA) ** 2;
    bb += (b[i] - meanB) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}
