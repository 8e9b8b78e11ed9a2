/**
 * The tensors of a GGUF file under Hugging Face names, rows in Hugging Face order. Owns the differences between the two worlds, above
 * all the row order of q and k in "llama" files, which the converter permutes for its own RoPE.
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

/** With four norms a block, "post_attention" means what it says, and the MLP's input norm has a name of its own. */
const FOUR_NORMS: Readonly<Record<string, string>> = {
  ...IN_BLOCK,
  post_attention_layernorm: 'post_attention_norm',
  pre_feedforward_layernorm: 'ffn_norm',
  post_feedforward_layernorm: 'post_ffw_norm',
};

/** "model.layers.3.mlp.up_proj.weight" -> "blk.3.ffn_up.weight" */
export function ggufName(name: string, architecture: string): string {
  const top = TOP[name];
  if (top !== undefined) return top;
  const match = /^model\.layers\.(\d+)\.(.+)\.(weight|bias)$/.exec(name);
  const names = architecture.startsWith('gemma') ? FOUR_NORMS : IN_BLOCK;
  const inner = match ? names[match[2]] : undefined;
  if (!match || inner === undefined) return name;
  return `blk.${match[1]}.${inner}.${match[3]}`;
}

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
    return this.file.has(this.stored(name));
  }

  info(name: string): TensorInfo {
    return this.file.info(this.stored(name));
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const headCount = this.permutedHeads(name);
    if (headCount === undefined) return this.file.readFloat32(this.stored(name), rows);
    const whole = unpermute(this.file.readFloat32(this.stored(name)), headCount, this.info(name).shape);
    if (rows === undefined) return whole;
    const width = whole.length / this.info(name).shape[0];
    return whole.slice(rows.start * width, (rows.start + rows.count) * width);
  }

  readColumns(name: string, columns: readonly number[]): Float32Array {
    if (this.permutedHeads(name) === undefined) return this.file.readColumns(this.stored(name), columns);
    throw fault('UNSUPPORTED', `Columns of ${name} are not read from GGUF files, whose rows stand in another order.`);
  }

  close(): void {
    this.file.close();
  }

  /** The row of the file at which a row of the model's matrix stands. */
  storedRow(name: string, row: number): number {
    const headCount = this.permutedHeads(name);
    return headCount === undefined ? row : interleavedRow(row, this.info(name).shape[0] / headCount);
  }

  private stored(name: string): string {
    return ggufName(name, this.spec.architecture);
  }

  /** Heads whose rows the file interleaves; undefined where rows stand in the model's order. */
  private permutedHeads(name: string): number | undefined {
    if (this.spec.architecture !== 'llama') return undefined;
    if (/self_attn\.q_proj\./.test(name)) return this.spec.nHeads;
    if (/self_attn\.k_proj\./.test(name)) return this.spec.nKvHeads;
    return undefined;
  }
}

/** The model's rows in their own order, from a matrix whose rows stand in the file's order. */
function unpermute(data: Float32Array, headCount: number, shape: readonly number[]): Float32Array {
  const rows = shape[0];
  const width = data.length / rows;
  const out = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    const from = interleavedRow(row, rows / headCount) * width;
    out.set(data.subarray(from, from + width), row * width);
  }
  return out;
}

/**
 * Where the converter put a row: within each head of `headRows` rows it interleaves the two halves of the rotary pairs (row
 * j * half + i of the model is row 2i + j of the file).
 */
function interleavedRow(row: number, headRows: number): number {
  const half = headRows / 2;
  const inHead = row % headRows;
  return row - inHead + 2 * (inHead % half) + Math.floor(inHead / half);
}
