/** The SAE port over the SAE service. */
import type { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import type { LayerEdits as WireLayerEdits } from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import type { ServiceClient } from '../../../shared/rpc/connect.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import { decodeMatrix, decodeRow, encodeMatrix, encodeRow } from '../../../shared/tensors/matrix.js';
import { decodePositions, encodePositions } from '../../../shared/tensors/positions.js';
import { createBank, type LayerEdits } from '../model/bank.js';
import type { SaeSource } from '../model/sae-port.js';
import { decodeFeature, encodeFeature } from './shared-types.js';

export const createSaeSource = (client: ServiceClient<typeof SaeServiceDefinition>): SaeSource => ({
  list: async (signal) => {
    const { saes } = await client.listSaes({}, { signal });
    return saes.map(({ layer, dSae, sha256 }) => ({ layer, dSae, sha256 }));
  },
  nearest: async (layer, vector, count, signal) => {
    const { features } = await client.findNearestFeatures({ layer, vector: encodeRow(vector), count }, { signal });
    return features.map(({ feature, cosine }) => ({ ...decodeFeature(feature), cosine }));
  },
  encode: async (layer, residual, features, signal) => {
    if (features?.length === 0) return Array.from({ length: residual.rows }, () => ({ indices: [], values: [] }));
    const request = { layer, residual: encodeMatrix(residual), features: [...(features ?? [])] };
    const { rows } = await client.encode(request, { signal });
    if (rows.length !== residual.rows)
      throw fault('INTERNAL', `The SAE service encoded ${rows.length} of ${residual.rows} residuals.`);
    return rows;
  },
  ablations: async (features, positions, signal) => {
    const request = { features: features.map(encodeFeature), target: 0, positions: encodePositions(positions) };
    const { bank } = await client.getEditRows(request, { signal });
    const decoded = createBank((bank?.layers ?? []).map(decodeEdits));
    const names = new Set(decoded.names);
    const missing = features.map(formatFeature).find((name) => !names.has(name));
    if (missing !== undefined) throw fault('INTERNAL', `The SAE service left ${missing} out of the rows asked for.`);
    return decoded;
  },
});

function decodeEdits(wire: WireLayerEdits): LayerEdits {
  const what = (part: string) => ({ name: `${part} of layer ${wire.layer}` });
  return {
    layer: wire.layer,
    names: wire.names,
    read: decodeMatrix(wire.read, what('read')),
    bias: decodeRow(wire.bias, what('bias')),
    threshold: decodeRow(wire.threshold, { ...what('threshold'), allowNegativeInfinity: true }),
    write: decodeMatrix(wire.write, what('write')),
    target: decodeRow(wire.target, what('target')),
    positions: decodePositions(wire.positions),
  };
}
