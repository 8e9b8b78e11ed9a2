/** Stage "saes": measures every SAE on residuals of the audit's own prompts, so that a wrongly scaled one is marked and not believed. */
import { encodeMatrix } from '../../../shared/tensors/matrix.js';
import { decodeAdmission } from '../peers/from-wire.js';
import { captureResiduals } from './capture-residuals.js';
import type { Stage, StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

// FVU and L0 are stable well before this; the message stays small for wide models too.
const ROWS_WANTED = 2048;
// The sae service measures on 16 rows at least.
const MIN_ROWS = 16;

export const saesStage: Stage<'saes'> = {
  name: 'saes',
  async run(context, { describe }) {
    const layers = describe.saes.map((sae) => sae.layer);
    const rows = await collectRows(context, layers, describe.model.dModel, describe.maxPrompts);
    const saes = [];
    for (const sae of describe.saes) {
      const residual = rows.get(sae.layer) ?? new Float32Array(0);
      saes.push({ ...sae, admission: await admit(context, sae.layer, residual, describe.model.dModel) });
      context.progress(saes.length, describe.saes.length);
    }
    for (const { layer, admission } of saes) {
      if (admission.verdict === 'verified') continue;
      context.warn('SAE_UNVERIFIED', `The SAE of layer ${layer} is ${admission.verdict}: ${admission.reason}`);
    }
    return { saes };
  },
  summarize: ({ saes }) =>
    `${saes.filter((sae) => sae.admission.verdict === 'verified').length} of ${saes.length} SAEs verified`,
};

/**
 * An SAE whose reading or edits are settled only by the admission test forgets both with its process. A checkpoint that goes on with a new
 * one measures them again, on the same residuals; the verdict stays the stored one.
 */
export const admitAgain = async (context: StageContext, describe: StageResults['describe']): Promise<void> => {
  const { saes } = await context.peers.sae.listSaes({}, { signal: context.signal });
  const open = saes.filter(({ editsExact, admission }) => !editsExact && (admission?.rows ?? 0) === 0);
  if (open.length === 0) return;
  const layers = describe.saes.map((sae) => sae.layer);
  const rows = await collectRows(context, layers, describe.model.dModel, describe.maxPrompts);
  for (const { layer } of open) {
    await admit(context, layer, rows.get(layer) ?? new Float32Array(0), describe.model.dModel);
  }
};

/** Residuals [n, d] by layer, from the first prompts on, position 0 left out. */
const collectRows = async (
  context: StageContext,
  layers: readonly number[],
  dModel: number,
  maxPrompts: number,
): Promise<Map<number, Float32Array>> => {
  const parts = new Map(layers.map((layer) => [layer, [] as Float32Array[]]));
  let rows = 0;
  for await (const captured of captureResiduals(context, context.spec.prompts, layers, maxPrompts)) {
    for (const [layer, residual] of captured.residuals) parts.get(layer)?.push(residual.subarray(dModel));
    rows += captured.positions - 1;
    if (rows >= ROWS_WANTED) break;
  }
  return new Map([...parts].map(([layer, pieces]) => [layer, concatenate(pieces)]));
};

const concatenate = (pieces: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let offset = 0;
  for (const piece of pieces) {
    all.set(piece, offset);
    offset += piece.length;
  }
  return all;
};

const admit = async (context: StageContext, layer: number, data: Float32Array, dModel: number) => {
  const rows = data.length / dModel;
  if (rows < MIN_ROWS) {
    return decodeAdmission({
      verdict: 0,
      fvu: 0,
      l0: 0,
      deadShare: 0,
      rows,
      publishedL0: 0,
      reason: `the prompts give ${rows} residuals, and ${MIN_ROWS} are needed`,
    });
  }
  const residual = encodeMatrix({ rows, cols: dModel, data });
  const { admission } = await context.peers.sae.admitSae({ layer, residual }, { signal: context.signal });
  return decodeAdmission(admission);
};
