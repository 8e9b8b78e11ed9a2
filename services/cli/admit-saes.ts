/**
 * The admission test before single evaluations. Some SAE files leave their normalization or their edits open until they are measured on
 * residuals of the model; an audit does that as a stage, and `evaluate` has none.
 */
import { InferenceServiceDefinition } from '../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../proto/gen/refusalscope/v1/sae.js';
import { connect } from '../../shared/rpc/connect.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import { decodeMatrix, encodeMatrix } from '../../shared/tensors/matrix.js';
import { readEmbeddedPrompts } from './prompt-file.js';

/** Some 800 residuals: FVU and L0 are stable well before. */
const PROMPTS = 32;

export interface AdmittedSae {
  readonly layer: number;
  /** What was measured and chosen, as the sae service says it. */
  readonly reason: string;
}

/** Admits the SAEs that cannot be used without; empty if all can. Throws the faults of the two services. */
export const admitOpenSaes = async (
  inferenceAddress: string,
  saeAddress: string,
  edge: Edge = localEdge,
): Promise<AdmittedSae[]> => {
  const inference = connect(InferenceServiceDefinition, inferenceAddress, { edge });
  const sae = connect(SaeServiceDefinition, saeAddress, { edge });
  try {
    const { saes } = await sae.client.listSaes({});
    const open = saes.filter(({ editsExact, admission }) => !editsExact && (admission?.rows ?? 0) === 0);
    if (open.length === 0) return [];
    const layers = open.map(({ layer }) => layer).sort((a, b) => a - b);
    const rows = await captureRows(inference.client, layers);
    const admitted: AdmittedSae[] = [];
    for (const layer of layers) {
      const { admission } = await sae.client.admitSae({
        layer,
        residual: encodeMatrix(joinRows(rows.get(layer) ?? [])),
      });
      admitted.push({ layer, reason: admission?.reason ?? '' });
    }
    return admitted;
  } finally {
    inference.close();
    sae.close();
  }
};

interface Rows {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

type Client = ReturnType<typeof connect<typeof InferenceServiceDefinition>>['client'];

/** Residuals of prompts of the embedded set by layer, position 0 left out. */
async function captureRows(client: Client, layers: readonly number[]): Promise<Map<number, Rows[]>> {
  const prompts = (await readEmbeddedPrompts()).slice(0, PROMPTS);
  const found = new Map<number, Rows[]>();
  const request = {
    prompts: prompts.map(({ id, text }) => ({ id, input: { $case: 'text' as const, value: text } })),
    layers: [...layers],
  };
  for await (const captured of client.captureResiduals(request)) {
    for (const { layer, residual } of captured.layers) {
      const { rows, cols, data } = decodeMatrix(residual, { name: `residual of layer ${layer}` });
      const part = { rows: rows - 1, cols, data: data.slice(cols) };
      found.set(layer, [...(found.get(layer) ?? []), part]);
    }
  }
  return found;
}

function joinRows(parts: readonly Rows[]): Rows {
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const cols = parts[0]?.cols ?? 0;
  const data = new Float32Array(rows * cols);
  let offset = 0;
  for (const part of parts) {
    data.set(part.data, offset);
    offset += part.data.length;
  }
  return { rows, cols, data };
}
