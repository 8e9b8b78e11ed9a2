/**
 * A GGUF file seen as a model: its ModelSpec, and its tensors under Hugging Face names. Owns the differences between the two
 * worlds, above all the row order of q and k in "llama" files, which the converter permutes for its own RoPE.
 */
import { fault } from '../../../shared/errors/fault.js';
import type { GgufFile } from '../../../shared/tensor-files/gguf.js';
import type { RowRange, TensorInfo, TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import type { ModelSpec } from './model-spec.js';

const TOP: Readonly<Record<string, string>> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

const IN_BLOCK: Readonly<Record<string, string>> = {
  input_layernorm: 'attn_norm',
  post_attention_layernorm: 'ffn_norm',
  'self_attn.q_proj': 'attn_q',
  'self_attn.k_proj': 'attn_k',
  'self_attn.v_proj': 'attn_v',
  'self_attn.o_proj': 'attn_output',
  'self_attn.q_norm': 'attn_q_norm',
  'self_attn.k_norm': 'attn_k_norm',
  'mlp.gate_proj': 'ffn_gate',
  'mlp.up_proj': 'ffn_up',
  'mlp.down_proj': 'ffn_down',
};

/** "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight" */
export function ggufName(name: string): string {
  const top = TOP[name];
  if (top !== undefined) return top;
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const inner = match ? IN_BLOCK[match[2]] : undefined;
  if (!match || inner === undefined) return name;
  return `blk.${match[1]}.${inner}.${match[3]}`;
}

/** The numbers of the model. Faults: TENSOR_FILE_CORRUPT (a key has another type), TENSOR_FILE_UNSUPPORTED (missing or other family). */
export function ggufSpec(file: GgufFile): ModelSpec {
  const architecture = file.text('general.architecture') ?? 'none';
  const required = (key: string): number => {
    const value = file.number(`${architecture}.${key}`);
    if (value !== undefined && Number.isFinite(value) && value > 0) return value;
    throw fault(
      'TENSOR_FILE_CORRUPT',
      `${file.path}: metadata "${architecture}.${key}" must be a positive number; it is ${value}.`,
    );
  };
  const nHeads = required('attention.head_count');
  const dModel = required('embedding_length');
  const nLayers = required('block_count');
  const headDim = file.number(`${architecture}.attention.key_length`) ?? dModel / nHeads;
  return {
    architecture,
    nLayers,
    dModel,
    nHeads,
    nKvHeads: file.number(`${architecture}.attention.head_count_kv`) ?? nHeads,
    headDim,
    ffDim: required('feed_forward_length'),
    vocabSize: file.info('token_embd.weight').shape[0],
    contextLength: required('context_length'),
    rmsEpsilon: required('attention.layer_norm_rms_epsilon'),
    rope: { theta: file.number(`${architecture}.rope.freq_base`) ?? 10_000 },
    tiedEmbeddings: !file.has('output.weight'),
    embeddingScale: 1,
    normOffset: 0,
    activation: 'silu',
    queryScale: headDim ** -0.5,
    attentionBias: file.has('blk.0.attn_q.bias'),
    queryKeyNorm: file.has('blk.0.attn_q_norm.weight'),
    isLocal: Array.from({ length: nLayers }, () => false),
  };
}

/** The file's tensors under Hugging Face names, rows in Hugging Face order. */
export class GgufWeights implements TensorSource {
  constructor(
    private readonly file: GgufFile,
    private readonly spec: ModelSpec,
  ) {}

  get path(): string {
    return this.file.path;
  }

  list(): readonly TensorInfo[] {
    return this.file.list();
  }

  has(name: string): boolean {
    return this.file.has(ggufName(name));
  }

  info(name: string): TensorInfo {
    return this.file.info(ggufName(name));
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const headCount = this.permutedHeads(name);
    if (headCount === undefined) return this.file.readFloat32(ggufName(name), rows);
    const whole = unpermute(this.file.readFloat32(ggufName(name)), headCount, this.info(name).shape);
    if (rows === undefined) return whole;
    const width = whole.length / this.info(name).shape[0];
    return whole.slice(rows.start * width, (rows.start + rows.count) * width);
  }

  readColumns(name: string, columns: readonly number[]): Float32Array {
    if (this.permutedHeads(name) === undefined) return this.file.readColumns(ggufName(name), columns);
    throw fault('UNSUPPORTED', `Columns of ${name} are not read from GGUF files, whose rows stand in another order.`);
  }

  close(): void {
    this.file.close();
  }

  private permutedHeads(name: string): number | undefined {
    if (this.spec.architecture !== 'llama') return undefined;
    if (/self_attn\.q_proj\./.test(name)) return this.spec.nHeads;
    if (/self_attn\.k_proj\./.test(name)) return this.spec.nKvHeads;
    return undefined;
  }
}

/**
 * Undoes the converter's permutation: within each head it interleaves the two halves of the rotary pairs (row 2i + j of the file
 * is row j * half + i of the model).
 */
function unpermute(data: Float32Array, headCount: number, shape: readonly number[]): Float32Array {
  const rows = shape[0];
  const width = data.length / rows;
  const half = rows / headCount / 2;
  const out = new Float32Array(data.length);
  for (let head = 0; head < headCount; head++) {
    for (let i = 0; i < half; i++) {
      for (let j = 0; j < 2; j++) {
        const from = (head * half * 2 + 2 * i + j) * width;
        out.set(data.subarray(from, from + width), (head * half * 2 + j * half + i) * width);
      }
    }
  }
  return out;
}
