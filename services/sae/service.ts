/** The handlers: wire types in, jobs for the SAE thread, wire types out. Generated types stop here. */
import {
  Admission_Verdict,
  type Admission as AdmissionMessage,
  type SaeInfo,
  SaeServiceDefinition,
} from '../../proto/gen/refusalscope/v1/sae.js';
import type { LayerEdits, Positions } from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../shared/errors/fault.js';
import { type BoundService, bindService } from '../../shared/rpc/start-server.js';
import type { WeightDigests } from '../../shared/tensor-files/weight-digests.js';
import { formatFeature } from '../../shared/tensors/feature-name.js';
import { decodeMatrix, encodeMatrix, encodeRow, type Matrix } from '../../shared/tensors/matrix.js';
import { assertEditRequest } from './edit-request.js';
import type { Admission, LayerEditRows, SaeSummary } from './sae-store.js';
import type { PackedRows, SaeThread } from './thread/thread-messages.js';

const MAX_ENCODE_ROWS = 4096;
const MIN_ADMISSION_ROWS = 16;
const MAX_ADMISSION_ROWS = 16_384;

export const createSaeService = (thread: SaeThread, digests: WeightDigests): BoundService =>
  bindService(SaeServiceDefinition, {
    listSaes: async (_, { signal }) => {
      const summaries = await thread.run('list', {}, signal);
      return { saes: await Promise.all(summaries.map((summary) => toInfo(summary, digests))) };
    },
    encode: async ({ layer, residual, features }, { signal }) => {
      const input = readResidual(residual, 1, MAX_ENCODE_ROWS);
      return { rows: toRows(await thread.run('encode', { layer, features, ...input }, signal)) };
    },
    findNearestFeatures: async ({ layer, vector, count }, { signal }) => {
      const { data } = decodeMatrix(vector, { name: 'vector', rows: 1 });
      const found = await thread.run('nearest', { layer, vector: data.slice(), count }, signal);
      return { features: found.map(({ index, cosine }) => ({ feature: { layer, index }, cosine })) };
    },
    getEditRows: async ({ features, target, positions }, { signal }) => {
      assertEditRequest(features, target);
      const layers = await thread.run('editRows', { features }, signal);
      return { bank: { layers: layers.map((rows) => toLayerEdits(rows, target, positions)) } };
    },
    admitSae: async ({ layer, residual }, { signal }) => {
      const input = readResidual(residual, MIN_ADMISSION_ROWS, MAX_ADMISSION_ROWS);
      return { admission: toAdmission(await thread.run('admit', { layer, ...input }, signal)) };
    },
  });

type WireMatrix = Parameters<typeof decodeMatrix>[0];

/** Copied, because a view would take its whole message along to the thread. */
const readResidual = (
  wire: WireMatrix,
  minRows: number,
  maxRows: number,
): { residual: Float32Array; width: number } => {
  const { rows, cols, data }: Matrix = decodeMatrix(wire, { name: 'residual' });
  if (rows < minRows || rows > maxRows)
    throw fault(
      rows > maxRows ? 'REQUEST_TOO_LARGE' : 'REQUEST_INVALID',
      `residual has ${rows} rows; ${minRows} to ${maxRows} are allowed.`,
      { details: { field: 'residual', rows: String(rows), limit: String(rows > maxRows ? maxRows : minRows) } },
    );
  return { residual: data.slice(), width: cols };
};

const toInfo = async (summary: SaeSummary, digests: WeightDigests): Promise<SaeInfo> => {
  const { layer, dIn, dSae, architecture, format, file, published } = summary.description;
  const { editsExact, editsNote } = summary;
  const sha256 = await digests.digest(file);
  const admission = toAdmission(summary.admission, published.l0);
  return { layer, dIn, dSae, architecture, format, sha256, editsExact, editsNote, admission };
};

const VERDICTS = { true: Admission_Verdict.VERDICT_VERIFIED, false: Admission_Verdict.VERDICT_UNVERIFIED } as const;

const toAdmission = (admission: Admission | undefined, publishedL0 = 0): AdmissionMessage =>
  admission === undefined
    ? {
        verdict: Admission_Verdict.VERDICT_UNSPECIFIED,
        fvu: 0,
        l0: 0,
        deadShare: 0,
        rows: 0,
        publishedL0,
        reason: 'Not measured in this process yet: call AdmitSae.',
      }
    : {
        verdict: VERDICTS[`${admission.verified}`],
        // An SAE that overflows explains nothing; infinity is not sent either.
        fvu: Math.min(admission.fvu, Number.MAX_VALUE),
        l0: admission.l0,
        deadShare: admission.deadShare,
        rows: admission.rows,
        publishedL0: admission.publishedL0 ?? 0,
        reason: admission.reason,
      };

const toRows = ({ offsets, indices, values }: PackedRows): { indices: number[]; values: number[] }[] =>
  Array.from({ length: offsets.length - 1 }, (_, r) => ({
    indices: Array.from(indices.subarray(offsets[r], offsets[r + 1])),
    values: Array.from(values.subarray(offsets[r], offsets[r + 1])),
  }));

const toLayerEdits = (rows: LayerEditRows, target: number, positions: Positions | undefined): LayerEdits => {
  const { layer, features, dIn } = rows;
  const count = features.length;
  return {
    layer,
    read: encodeMatrix({ rows: count, cols: dIn, data: rows.read }),
    bias: encodeRow(rows.bias),
    threshold: encodeRow(rows.threshold),
    write: encodeMatrix({ rows: count, cols: dIn, data: rows.write }),
    target: encodeRow(new Float32Array(count).fill(target)),
    positions,
    names: features.map((index) => formatFeature({ layer, index })),
  };
};
