/** The embedded model behind a real server, started once a test file, and the golden values beside it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import type { EditBank, LayerEdits, Positions, ScoreSpec } from '../../../proto/gen/refusalscope/v1/types.js';
import { startInferenceService } from '../../../services/inference/start.js';
import { ensureEmbeddedModel } from '../../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect, type ServiceClient } from '../../../shared/rpc/connect.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { encodeMatrix, encodeRow } from '../../../shared/tensors/matrix.js';
import { type Positions as DomainPositions, encodePositions } from '../../../shared/tensors/positions.js';

/** Edits as the fixture scripts name them. */
export interface EditDescription {
  readonly kind: 'sae_ablation' | 'sae_clamp' | 'direction_ablation' | 'steering' | 'combination';
  readonly positions?: 'instruction' | 'all_but_first' | 'all' | 'answer' | 'range';
  /** Only for a range. */
  readonly start?: number;
  readonly end?: number;
  /** Only for a combination. */
  readonly parts?: readonly EditDescription[];
  readonly features?: readonly string[];
  readonly value?: number;
  readonly direction_layer?: number;
}

export interface GoldenEdit extends EditDescription {
  readonly prompt: string;
  readonly refusal_score: number;
  readonly first_token_score: number;
  readonly p_I: number;
}

export interface Golden {
  readonly openers: readonly { text: string; token_ids: number[] }[];
  readonly refusal_tokens: number[];
  readonly I_token: number;
  readonly clean: readonly {
    id: string;
    token_ids: number[];
    refusal_score: number;
    first_token_score: number;
    p_I: number;
    resid_last: Record<string, { norm: number; first8: number[] }>;
  }[];
  readonly edits: readonly GoldenEdit[];
  readonly greedy: readonly { id: string; token_ids: number[]; text: string }[];
}

const GOLDEN = join(projectRoot, 'test/fixtures/golden');

export const golden: Golden = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model.json'), 'utf8'));

/** Further cases: ranges, answers, combinations, long prompts, divergences, answers under edits. */
export interface MoreGolden {
  readonly clean: readonly (Golden['clean'][number] & { text: string })[];
  readonly edits: readonly (GoldenEdit & {
    first_token_kl: number;
    change: Record<string, { delta_norm: number; active_pairs: number }>;
    resid_last?: Record<string, { norm: number; first8: number[] }>;
  })[];
  readonly greedy_under_edit: readonly (EditDescription & {
    prompt: string;
    tokens: number;
    token_ids_sha256: string;
  })[];
}

export const moreGolden: MoreGolden = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model-more.json'), 'utf8'));

export const promptText = new Map<string, string>([
  ...readFileSync(join(projectRoot, 'models/prompts/pairs.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { id: string; text: string })
    .map(({ id, text }): [string, string] => [id, text]),
  ...moreGolden.clean.map(({ id, text }): [string, string] => [id, text]),
]);

export const goldenScore: ScoreSpec = {
  openers: golden.openers.map(({ token_ids }) => ({ ids: token_ids })),
  firstTokenIds: golden.refusal_tokens,
  iTokenId: golden.I_token,
};

export const textPrompt = (id: string) => ({
  id,
  input: { $case: 'text' as const, value: promptText.get(id) as string },
});

export interface EmbeddedInference {
  readonly client: ServiceClient<typeof InferenceServiceDefinition>;
  readonly address: string;
  stop(): Promise<void>;
}

export async function startEmbeddedInference(): Promise<EmbeddedInference> {
  const { path } = await ensureEmbeddedModel();
  const service = await startInferenceService({
    modelPath: path,
    adapterPath: join(projectRoot, 'models/adapter'),
    modelName: 'embedded',
    listen: '127.0.0.1:0',
    threads: 2,
    cacheBytes: 384 << 20,
  });
  const connection = connect(InferenceServiceDefinition, service.address);
  return {
    client: connection.client,
    address: service.address,
    stop: async () => {
      connection.close();
      await service.stop();
    },
  };
}

const D_MODEL = 576;
const LAYERS = 30;

const positionsOf = ({ positions, start = 0, end = 0 }: EditDescription): DomainPositions => {
  if (positions === 'range') return { span: 'range', start, end, includeBos: start === 0 };
  if (positions === 'all_but_first') return { span: 'all', start: 0, end: 0, includeBos: false };
  return { span: positions ?? 'instruction', start: 0, end: 0, includeBos: positions === 'all' };
};

/** The bank that a golden edit describes, built here from the files, without the SAE service. */
export function goldenBank(edit: EditDescription): EditBank {
  if (edit.kind === 'combination') {
    return { layers: (edit.parts ?? []).flatMap((part) => goldenBank(part).layers) };
  }
  const positions = encodePositions(positionsOf(edit));
  if (edit.kind === 'sae_ablation' || edit.kind === 'sae_clamp') {
    return { layers: featureEdits(edit.features as string[], edit.value ?? 0, positions) };
  }
  const source = openSafetensors(join(GOLDEN, 'directions.safetensors'));
  const direction = source.readFloat32(`direction.${edit.direction_layer}`);
  source.close();
  const steering = edit.kind === 'steering';
  const layers = steering ? [edit.direction_layer as number] : Array.from({ length: LAYERS }, (_, layer) => layer);
  return {
    layers: layers.map((layer) => ({
      layer,
      read: encodeMatrix({ rows: 1, cols: D_MODEL, data: steering ? new Float32Array(D_MODEL) : direction }),
      bias: encodeRow([0]),
      threshold: encodeRow([Number.NEGATIVE_INFINITY]),
      write: encodeMatrix({ rows: 1, cols: D_MODEL, data: direction }),
      target: encodeRow([steering ? (edit.value as number) : 0]),
      positions,
      names: [`direction.${edit.direction_layer}`],
    })),
  };
}

export function featureEdits(features: readonly string[], target: number, positions: Positions): LayerEdits[] {
  const byLayer = new Map<number, number[]>();
  for (const name of features) {
    const [layer, index] = name.split('/').map(Number);
    byLayer.set(layer, [...(byLayer.get(layer) ?? []), index]);
  }
  return [...byLayer].map(([layer, indices]) => {
    const sae = openSafetensors(join(projectRoot, `models/saes/layer_${layer}/sae_weights.safetensors`));
    const read = sae.readColumns('W_enc', indices);
    const rows = indices.map((index) => sae.readFloat32('W_dec', { start: index, count: 1 }));
    const write = Float32Array.from(rows.flatMap((row) => [...row]));
    const pick = (name: string) => encodeRow(indices.map((index) => sae.readFloat32(name)[index]));
    const edits = {
      layer,
      read: encodeMatrix({ rows: indices.length, cols: D_MODEL, data: read }),
      bias: pick('b_enc'),
      threshold: pick('threshold'),
      write: encodeMatrix({ rows: indices.length, cols: D_MODEL, data: write }),
      target: encodeRow(indices.map(() => target)),
      positions,
      names: indices.map((index) => `${layer}/${index}`),
    };
    sae.close();
    return edits;
  });
}

export const bankSize = (bank: EditBank): number => bank.layers.reduce((sum, { names }) => sum + names.length, 0);
