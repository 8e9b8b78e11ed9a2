/** The paper's fit: SAE activations of the features on every prompt (largest over the instruction onwards), against harmful or harmless. */
import { FitMode, type FitResult } from '../../../proto/gen/refusalscope/v1/fm.js';
import { fault } from '../../../shared/errors/fault.js';
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import { encodeMatrix } from '../../../shared/tensors/matrix.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeFit } from '../peers/from-wire.js';
import type { FitFacts } from '../report/report-type.js';
import { type CapturedPrompt, captureResiduals } from './capture-residuals.js';
import { derivedSeed } from './derived-seed.js';
import type { StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

/** Throws AUDIT_IMPOSSIBLE with fewer than 2 features, REQUEST_INVALID (from fm) with too few prompts. */
export const fitActivations = async (
  context: StageContext,
  earlier: StageResults,
  features: readonly string[],
): Promise<FitFacts> => {
  if (features.length < 2) throw fault('AUDIT_IMPOSSIBLE', 'Fewer than 2 features: there are no activations to fit.');
  const { prompts } = context.spec;
  const design = await poolActivations(context, earlier, features);
  const result = await drainCall<FitResult>(context.call(), (_known, { signal }) =>
    context.peers.fm.fit(
      {
        mode: FitMode.FIT_MODE_ACTIVATIONS,
        design: encodeMatrix({ rows: prompts.length, cols: features.length, data: design }),
        targets: prompts.map((prompt) => (prompt.label === 'harmful' ? 1 : 0)),
        names: [...features],
        options: { seed: derivedSeed(context.spec.seed, 'fm-activations') },
      },
      { signal },
    ),
  );
  return decodeFit(result, features);
};

/** [prompts, features]: the largest activation over the positions from the instruction on. */
export const poolActivations = async (
  context: StageContext,
  { describe }: StageResults,
  features: readonly string[],
): Promise<Float32Array> => {
  const { prompts } = context.spec;
  const columns = columnsByLayer(features);
  const design = new Float32Array(prompts.length * features.length);
  let row = 0;
  for await (const captured of captureResiduals(context, prompts, [...columns.keys()], describe.maxPrompts)) {
    const start = describe.instructionStarts[row] ?? 1;
    const pooled = design.subarray(row * features.length, (row + 1) * features.length);
    for (const [layer, columnOf] of columns) {
      await poolLayer(context, captured, start, describe.model.dModel, layer, columnOf, pooled);
    }
    row += 1;
    context.progress(row, prompts.length, 'activations');
  }
  return design;
};

/** By layer: the column of each of its features, by feature index. */
const columnsByLayer = (features: readonly string[]): Map<number, Map<number, number>> => {
  const columns = new Map<number, Map<number, number>>();
  features.forEach((name, column) => {
    const { layer, index } = parseFeature(name);
    columns.set(layer, (columns.get(layer) ?? new Map<number, number>()).set(index, column));
  });
  return columns;
};

const poolLayer = async (
  { peers, signal }: StageContext,
  captured: CapturedPrompt,
  start: number,
  dModel: number,
  layer: number,
  columnOf: ReadonlyMap<number, number>,
  pooled: Float32Array,
): Promise<void> => {
  const data = captured.residuals.get(layer)?.slice(start * dModel);
  if (data === undefined) throw fault('INTERNAL', `No residual of layer ${layer} came back.`);
  const residual = encodeMatrix({ rows: data.length / dModel, cols: dModel, data });
  const encoded = await peers.sae.encode(
    { layer, residual, features: [...columnOf.keys()].sort((a, b) => a - b) },
    { signal },
  );
  for (const { indices, values } of encoded.rows) {
    indices.forEach((index, i) => {
      const column = columnOf.get(index);
      if (column !== undefined) pooled[column] = Math.max(pooled[column] ?? 0, values[i] ?? 0);
    });
  }
};
