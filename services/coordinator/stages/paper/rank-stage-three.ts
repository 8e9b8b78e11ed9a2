/**
 * Stage 3: a factorization machine and a linear model on the activations of all candidates, harmful against harmless, and the candidates
 * in the order of each. How the paper ranks features is not published. Here both rankings are in log-odds for one standard deviation:
 *
 *   machine  s_i (|w_i| + sum_j s_j |<v_i, v_j>|)
 *   linear   s_i |w_i|
 */
import { FitMode, type FitResult } from '../../../../proto/gen/refusalscope/v1/fm.js';
import { decodeMatrix, encodeMatrix } from '../../../../shared/tensors/matrix.js';
import type { PaperSettings } from '../../audit/paper-settings.js';
import { drainCall } from '../../peers/drain-call.js';
import { present } from '../../peers/from-wire.js';
import { derivedSeed } from '../derived-seed.js';
import { poolActivations } from '../fit-activations.js';
import type { StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';

export interface RankedStageThree {
  readonly rows: number;
  readonly testRows: number;
  readonly fmAccuracy: number | null;
  readonly linearAccuracy: number | null;
  /** All candidates, the most important first. */
  readonly byMachine: readonly string[];
  readonly byLinear: readonly string[];
}

/** Throws REQUEST_INVALID (from fm) with too few prompts. */
export const rankStageThree = async (
  context: StageContext,
  earlier: StageResults,
  features: readonly string[],
  settings: PaperSettings,
): Promise<RankedStageThree> => {
  const { prompts, seed } = context.spec;
  const design = await poolActivations(context, earlier, features);
  const fit = await drainCall<FitResult>(context.call(), (_known, { signal }) =>
    context.peers.fm.fit(
      {
        mode: FitMode.FIT_MODE_ACTIVATIONS,
        design: encodeMatrix({ rows: prompts.length, cols: features.length, data: design }),
        targets: prompts.map((prompt) => (prompt.label === 'harmful' ? 1 : 0)),
        names: [...features],
        options: {
          seed: derivedSeed(seed, 'paper-stage-3'),
          rank: settings.fmRank,
          learningRate: settings.fmLearningRate,
          epochs: settings.fmEpochs,
        },
      },
      { signal },
    ),
  );
  const machine = present(fit.machine, 'the factorization machine');
  const { data: factors, cols: rank } = decodeMatrix(machine.factors, { name: 'factors', rows: features.length });
  const spreads = standardDeviations(design, features.length);
  return {
    rows: prompts.length,
    testRows: fit.testRows,
    fmAccuracy: fit.factorizationMachineMetrics?.accuracy ?? null,
    linearAccuracy: fit.linearMetrics?.accuracy ?? null,
    byMachine: inOrder(features, machineImportance(machine.weights, factors, rank, spreads)),
    byLinear: inOrder(
      features,
      fit.linearWeights.map((weight, i) => Math.abs(weight) * spreads[i]!),
    ),
  };
};

/** [columns] of a row-major design. */
export const standardDeviations = (design: Float32Array, columns: number): Float64Array => {
  const rows = design.length / columns;
  const means = new Float64Array(columns);
  const squares = new Float64Array(columns);
  design.forEach((value, i) => {
    means[i % columns]! += value / rows;
  });
  design.forEach((value, i) => {
    squares[i % columns]! += (value - means[i % columns]!) ** 2 / rows;
  });
  return squares.map(Math.sqrt);
};

/** factors [K, rank]. */
export const machineImportance = (
  weights: readonly number[],
  factors: Float32Array,
  rank: number,
  spreads: Float64Array,
): number[] =>
  weights.map((weight, i) => {
    let pairs = 0;
    for (let j = 0; j < weights.length; j++) {
      if (j === i || spreads[j] === 0) continue;
      let product = 0;
      for (let f = 0; f < rank; f++) product += factors[i * rank + f]! * factors[j * rank + f]!;
      pairs += spreads[j]! * Math.abs(product);
    }
    return spreads[i]! * (Math.abs(weight) + pairs);
  });

/** Ties keep the order of the candidates: nearest to the direction first. */
const inOrder = (features: readonly string[], importance: readonly number[]): string[] =>
  [...features.keys()].sort((a, b) => importance[b]! - importance[a]! || a - b).map((i) => features[i]!);
