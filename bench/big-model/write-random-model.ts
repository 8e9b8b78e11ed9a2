/**
 * Writes a Llama-shaped model of random bfloat16 weights as a Hugging Face folder, in pieces of a few MB, so that a machine can make
 * models that are larger than its memory.
 */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

export interface RandomModel {
  readonly layers: number;
  readonly width: number;
  readonly mlpWidth: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly vocabulary: number;
}

/** The shape of Llama 3.2 1B: 2.5 GB. */
export const ONE_BILLION: RandomModel = {
  layers: 16,
  width: 2048,
  mlpWidth: 8192,
  heads: 32,
  keyHeads: 8,
  vocabulary: 128_256,
};

const PIECE = 4 << 20;

/** Gives the bytes of all weights. */
export function writeRandomModel(folder: string, model: RandomModel): number {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'config.json'), `${JSON.stringify(configOf(model))}\n`);
  const header: Record<string, unknown> = {};
  let bytes = 0;
  for (const [name, shape] of tensorsOf(model)) {
    const length = 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [bytes, bytes + length] };
    bytes += length;
  }
  const text = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(text.length));
  const file = openSync(join(folder, 'model.safetensors'), 'w');
  writeSync(file, prefix);
  writeSync(file, text);
  const piece = randomPiece();
  for (let done = 0; done < bytes; done += PIECE) {
    vary(piece, done / PIECE);
    writeSync(file, piece, 0, Math.min(bytes - done, PIECE));
  }
  closeSync(file);
  return bytes;
}

const configOf = (model: RandomModel) => ({
  model_type: 'llama',
  hidden_size: model.width,
  intermediate_size: model.mlpWidth,
  num_hidden_layers: model.layers,
  num_attention_heads: model.heads,
  num_key_value_heads: model.keyHeads,
  vocab_size: model.vocabulary,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-5,
  rope_theta: 500_000,
  hidden_act: 'silu',
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
});

function tensorsOf(model: RandomModel): [name: string, shape: number[]][] {
  const { width, mlpWidth, heads, keyHeads, vocabulary } = model;
  const keys = (width / heads) * keyHeads;
  const block = (layer: number): [string, number[]][] => {
    const shapes: Record<string, number[]> = {
      input_layernorm: [width],
      post_attention_layernorm: [width],
      'self_attn.q_proj': [width, width],
      'self_attn.k_proj': [keys, width],
      'self_attn.v_proj': [keys, width],
      'self_attn.o_proj': [width, width],
      'mlp.gate_proj': [mlpWidth, width],
      'mlp.up_proj': [mlpWidth, width],
      'mlp.down_proj': [width, mlpWidth],
    };
    return Object.entries(shapes).map(([name, shape]) => [`model.layers.${layer}.${name}.weight`, shape]);
  };
  return [
    ['model.embed_tokens.weight', [vocabulary, width]],
    ...Array.from({ length: model.layers }, (_, layer) => block(layer)).flat(),
    ['model.norm.weight', [width]],
  ];
}

/** bfloat16 values of about +-0.02, from a linear congruence: only their size matters here. */
function randomPiece(): Buffer {
  const floats = new Float32Array(PIECE / 2);
  let state = 1;
  for (let i = 0; i < floats.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    floats[i] = (state / 2 ** 31 - 1) * 0.035;
  }
  const words = new Uint16Array(floats.buffer);
  return Buffer.from(Uint16Array.from(floats, (_, i) => words[2 * i + 1]).buffer);
}

/** Changes mantissas, so that no two pieces are alike: onnxruntime keeps equal constants once, and would look smaller than it is. */
function vary(piece: Buffer, number: number): void {
  const words = new Uint32Array(piece.buffer, piece.byteOffset, piece.length / 4);
  const change = (number & 0x7f) | (((number >> 7) & 0x7f) << 16);
  for (let i = 0; i < words.length; i++) words[i] ^= change;
}
