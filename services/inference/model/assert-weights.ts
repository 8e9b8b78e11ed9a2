/**
 * Holds a model's weights against its spec before anything is built: every tensor that the graphs will ask for is there, in the
 * shape that the numbers of the config give. Prevents a wrong pairing from failing late, or running on a matrix read askew.
 */
import { fault } from '../../../shared/errors/fault.js';
import { quoted } from '../../../shared/tensor-files/tensor-file-faults.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { FAMILIES, isFamily } from './families.js';
import type { ModelSpec } from './model-spec.js';

interface ExpectedTensor {
  readonly name: string;
  readonly shape: readonly number[];
  /** May be absent; the shape is checked where it is there. */
  readonly optional?: boolean;
}

/** Faults: TENSOR_NOT_FOUND, SHAPE_MISMATCH; both name the tensor, and what was given and wanted. */
export function assertWeights(spec: ModelSpec, weights: TensorSource): void {
  for (const { name, shape, optional } of expectedTensors(spec)) {
    if (!weights.has(name)) {
      if (optional) continue;
      throw fault(
        'TENSOR_NOT_FOUND',
        `${weights.path} has no tensor ${quoted(name)} [${shape.join(', ')}], which the ${spec.architecture} model needs. Fetch all files of the model.`,
        { details: { file: weights.path, name } },
      );
    }
    const given = weights.info(name).shape;
    if (given.length === shape.length && given.every((size, axis) => size === shape[axis])) continue;
    throw fault(
      'SHAPE_MISMATCH',
      `${weights.path}: tensor ${quoted(name)} is [${given.join(', ')}]; the model's numbers give [${shape.join(', ')}]. The config is of another model, or was edited.`,
      { details: { file: weights.path, name } },
    );
  }
}

function expectedTensors(spec: ModelSpec): ExpectedTensor[] {
  const { dModel, vocabSize, nLayers } = spec;
  return [
    { name: 'model.embed_tokens.weight', shape: [vocabSize, dModel] },
    { name: 'model.norm.weight', shape: [dModel] },
    ...(spec.tiedEmbeddings ? [] : [{ name: 'lm_head.weight', shape: [vocabSize, dModel] }]),
    ...Array.from({ length: nLayers }, (_, layer) => blockTensors(spec, `model.layers.${layer}`)).flat(),
  ];
}

function blockTensors(spec: ModelSpec, prefix: string): ExpectedTensor[] {
  const { dModel, ffDim, headDim } = spec;
  const query = spec.nHeads * headDim;
  const keys = spec.nKvHeads * headDim;
  const attention = linear(
    `${prefix}.self_attn`,
    { q_proj: [query, dModel], k_proj: [keys, dModel], v_proj: [keys, dModel] },
    spec.attentionBias,
  );
  const output = linear(`${prefix}.self_attn`, { o_proj: [dModel, query] }, false);
  const mlp = linear(
    `${prefix}.mlp`,
    { gate_proj: [ffDim, dModel], up_proj: [ffDim, dModel], down_proj: [dModel, ffDim] },
    false,
  );
  const norm = (name: string, size: number) => ({ name: `${prefix}.${name}.weight`, shape: [size] });
  const fourNorms = isFamily(spec.architecture) && FAMILIES[spec.architecture].fourNorms;
  return [
    ...attention,
    ...output,
    ...mlp,
    ...['input_layernorm', 'post_attention_layernorm'].map((name) => norm(name, dModel)),
    ...(fourNorms ? ['pre_feedforward_layernorm', 'post_feedforward_layernorm'] : []).map((name) => norm(name, dModel)),
    ...(spec.queryKeyNorm ? ['self_attn.q_norm', 'self_attn.k_norm'] : []).map((name) => norm(name, headDim)),
  ];
}

const linear = (
  prefix: string,
  shapes: Readonly<Record<string, readonly [number, number]>>,
  biasNeeded: boolean,
): ExpectedTensor[] =>
  Object.entries(shapes).flatMap(([name, shape]) => [
    { name: `${prefix}.${name}.weight`, shape },
    { name: `${prefix}.${name}.bias`, shape: [shape[0]], optional: !biasNeeded },
  ]);
