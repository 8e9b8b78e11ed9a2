/**
 * The causal fit: masks over the features, the refusal score under each, and a factorization machine on both. Each prompt gets its own
 * masks. Prompts differ in how strongly they are refused, so each prompt's scores are moved to the common mean first: what is left is
 * what the features do.
 */
import { FitMode, type FitResult, MaskDesign } from '../../../proto/gen/refusalscope/v1/fm.js';
import type { MaskScores } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import { decodeMask } from '../../../shared/tensors/mask-bits.js';
import { encodeMatrix } from '../../../shared/tensors/matrix.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeFit, present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { FitFacts } from '../report/report-type.js';
import { derivedSeed } from './derived-seed.js';
import type { PromptWithSet } from './search-prompts.js';
import type { StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

// Fewer rows than this leave a handful for the held-out split: R2 would be noise.
const MIN_ROWS = 32;

/** Throws AUDIT_IMPOSSIBLE if there are too few features, sets or masks. */
export const fitMasks = async (
  context: StageContext,
  earlier: StageResults,
  features: readonly string[],
  cases: readonly PromptWithSet[],
): Promise<FitFacts> => {
  const { spec, peers } = context;
  const perPrompt = cases.length === 0 ? 0 : Math.floor(spec.fmMasks / cases.length);
  if (features.length < 2 || perPrompt * cases.length < MIN_ROWS) {
    const given = `${features.length} features, ${cases.length} minimal sets and ${spec.fmMasks} masks`;
    throw fault(
      'AUDIT_IMPOSSIBLE',
      `${given} are too little to fit interactions: 2 features and ${MIN_ROWS} rows are needed.`,
    );
  }
  const masks = await designMasks(context, features.length, perPrompt * cases.length);
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    features: encodeFeatures(features),
    positions: encodePositions(spec.positions),
  };
  const order = new Map(cases.map(({ prompt }, i) => [prompt.id, i]));
  const scores = await context.forEachPrompt(
    cases.map(({ prompt }) => prompt),
    async (prompt, call) => {
      const first = present(order.get(prompt.id), 'the place of a prompt') * perPrompt;
      const own = masks.slice(first, first + perPrompt).map((bits) => ({ bits }));
      const sampled = await drainCall<MaskScores>(call, (known, options) =>
        peers.search.sampleMasks({ ...request, prompts: [encodePrompt(prompt)], masks: own, known }, options),
      );
      return [...sampled.refusalScores];
    },
    'masks',
  );
  return fitRows(context, features, masks, scores);
};

const designMasks = async ({ spec, peers, signal }: StageContext, features: number, count: number) => {
  const request = {
    features,
    count,
    // The comparison of designs in docs/interactions.md: best where redundancy is by groups, level elsewhere at this many masks.
    design: MaskDesign.MASK_DESIGN_UNIFORM,
    seed: derivedSeed(spec.seed, 'masks'),
  };
  const { masks } = await peers.fm.designMasks(request, { signal });
  if (masks.length !== count) throw fault('INTERNAL', `${count} masks were asked for, ${masks.length} came.`);
  return masks.map((mask) => mask.bits);
};

const fitRows = async (
  context: StageContext,
  features: readonly string[],
  masks: readonly Buffer[],
  scores: readonly (readonly number[])[],
): Promise<FitFacts> => {
  const design = new Float32Array(masks.length * features.length);
  masks.forEach((bits, row) => {
    design.set(decodeMask(bits, features.length), row * features.length);
  });
  const result = await drainCall<FitResult>(context.call(), (_known, { signal }) =>
    context.peers.fm.fit(
      {
        mode: FitMode.FIT_MODE_MASKS,
        design: encodeMatrix({ rows: masks.length, cols: features.length, data: design }),
        targets: moveToCommonMean(scores),
        names: [...features],
        options: { seed: derivedSeed(context.spec.seed, 'fm-masks') },
      },
      { signal },
    ),
  );
  return decodeFit(result, features);
};

/** Rows of all prompts in order, each prompt's mean replaced by the mean of all. */
export const moveToCommonMean = (scores: readonly (readonly number[])[]): number[] => {
  const mean = (values: readonly number[]) => values.reduce((total, value) => total + value, 0) / values.length;
  const common = mean(scores.flat());
  return scores.flatMap((own) => {
    const shift = common - mean(own);
    return own.map((score) => score + shift);
  });
};
