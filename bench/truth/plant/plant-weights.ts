/** The weights of a planted model, under the names of a Hugging Face Llama. */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import type { Mechanism } from '../mechanism.js';
import { type AttentionHead, attentionHeads, HEAD_DIM, HEADS } from './attention-heads.js';
import { gateUnits, type MlpUnit } from './gates.js';
import { AMPLITUDE, BALLAST, NUISANCE_AMPLITUDE, type PlantedAxes } from './planted-axes.js';
import { combine, randomUnit, type Sparse } from './residual-space.js';
import { ANSWER_PIECES, ASSISTANT, BOS, COMPLIANCE, END, REFUSAL, USER, type Vocabulary } from './vocabulary.js';
import type { NamedTensor } from './write-safetensors.js';

/** Logit of the token that comes next, over all others. */
const NEXT_LOGIT = 40;
/** Units a block that read and write nuisance space. */
const RANDOM_UNITS = 16;

export interface PlantedWeights {
  readonly tensors: readonly NamedTensor[];
  readonly config: Readonly<Record<string, unknown>>;
}

export function plantWeights(
  mechanism: Mechanism,
  axes: PlantedAxes,
  vocabulary: Vocabulary,
  random: SeededRandom,
): PlantedWeights {
  const width = axes.space.width;
  const units = Array.from({ length: mechanism.layers }, (_, layer) =>
    blockUnits(mechanism, axes, layer, random.fork(`units ${layer}`)),
  );
  const mlpWidth = Math.max(...units.map((own) => own.length));
  const silent: MlpUnit = { gate: new Map(), up: new Map(), down: new Map() };
  const rows = (name: string, vectors: readonly Sparse[]): NamedTensor => ({
    name,
    shape: [vectors.length, width],
    data: stack(axes, vectors),
  });
  const block = (layer: number): NamedTensor[] => {
    const prefix = `model.layers.${layer}`;
    const heads = attentionHeads(mechanism, axes, layer, random.fork(`heads ${layer}`));
    const padded = Array.from({ length: mlpWidth }, (_, i) => units[layer]![i] ?? silent);
    const part = (pick: (head: AttentionHead) => ReadonlyMap<number, Sparse>) =>
      heads.flatMap((head) => Array.from({ length: HEAD_DIM }, (_, j) => pick(head).get(j) ?? new Map()));
    return [
      ones(`${prefix}.input_layernorm.weight`, width),
      rows(
        `${prefix}.self_attn.q_proj.weight`,
        part(({ query }) => query),
      ),
      rows(
        `${prefix}.self_attn.k_proj.weight`,
        part(({ key }) => key),
      ),
      rows(
        `${prefix}.self_attn.v_proj.weight`,
        part(({ value }) => value),
      ),
      transposed(
        rows(
          `${prefix}.self_attn.o_proj.weight`,
          part(({ output }) => output),
        ),
      ),
      ones(`${prefix}.post_attention_layernorm.weight`, width),
      rows(
        `${prefix}.mlp.gate_proj.weight`,
        padded.map(({ gate }) => gate),
      ),
      rows(
        `${prefix}.mlp.up_proj.weight`,
        padded.map(({ up }) => up),
      ),
      transposed(
        rows(
          `${prefix}.mlp.down_proj.weight`,
          padded.map(({ down }) => down),
        ),
      ),
    ];
  };
  return {
    tensors: [
      rows('model.embed_tokens.weight', embeddings(mechanism, axes, vocabulary, random.fork('embeddings'))),
      ...units.flatMap((_, layer) => block(layer)),
      ones('model.norm.weight', width),
      rows('lm_head.weight', logitRows(mechanism, axes, vocabulary)),
    ],
    config: configOf(mechanism, width, mlpWidth, vocabulary),
  };
}

function blockUnits(mechanism: Mechanism, axes: PlantedAxes, layer: number, random: SeededRandom): MlpUnit[] {
  const own = mechanism.features.filter((feature) => feature.layer === layer);
  const features = own.map(({ name, when, at }) => ({
    gate: when,
    place: at,
    writes: combine([axes.decoder(name), AMPLITUDE]),
  }));
  const refusal = mechanism.refusal.map((gate) => ({
    gate,
    place: 'assistant' as const,
    writes: combine([axes.along('refuse'), gate.weight]),
  }));
  const gates = layer === mechanism.layers - 1 ? refusal : features;
  const { nuisance } = axes.space;
  const randomUnits = Array.from({ length: RANDOM_UNITS }, () => ({
    gate: combine([randomUnit(nuisance, random), axes.rms]),
    up: combine([randomUnit(nuisance, random), axes.rms]),
    down: combine([randomUnit(nuisance, random), 1]),
  }));
  return [...gates.flatMap((gate) => gateUnits(axes, gate)), ...randomUnits];
}

/** Every token: the ballast. Special ones and answer pieces: their mark. Triggers: theirs. All but the special ones: a random part. */
function embeddings({ categories }: Mechanism, axes: PlantedAxes, vocabulary: Vocabulary, random: SeededRandom) {
  const marks = new Map<number, readonly string[]>([
    [vocabulary.id(BOS), ['bos']],
    [vocabulary.id(USER), ['template']],
    [vocabulary.id(END), ['template']],
    [vocabulary.id(ASSISTANT), ['template', 'assistant']],
    ...ANSWER_PIECES.map((piece) => [vocabulary.id(piece), [`said:${piece}`]] as const),
    ...categories.flatMap((category) =>
      vocabulary.triggers(category).map((word) => [vocabulary.id(` ${word}`), [`trigger:${category}`]] as const),
    ),
  ]);
  const special = new Set([BOS, USER, END, ASSISTANT].map((text) => vocabulary.id(text)));
  return Array.from({ length: vocabulary.size }, (_, id) =>
    combine(
      [axes.along('ballast'), BALLAST],
      [randomUnit(axes.space.nuisance, random), special.has(id) ? 0 : NUISANCE_AMPLITUDE],
      [randomUnit(axes.space.dark, random), special.has(id) ? 0 : NUISANCE_AMPLITUDE],
      ...(marks.get(id) ?? []).map((axis) => [axes.along(axis), AMPLITUDE] as const),
    ),
  );
}

/** Each token of an answer calls the next; behind the assistant's token "I" competes with "Sure" by the refusal axis alone. */
function logitRows(mechanism: Mechanism, axes: PlantedAxes, vocabulary: Vocabulary): Sparse[] {
  const rows = Array.from({ length: vocabulary.size }, (): Sparse => new Map());
  const add = (piece: string, axis: string, perUnit: number) => {
    const id = vocabulary.id(piece);
    rows[id] = combine([rows[id]!, 1], [axes.along(axis), perUnit * axes.rms]);
  };
  for (const answer of [REFUSAL, COMPLIANCE])
    for (const [i, piece] of answer.entries()) {
      const next = answer[i + 1] ?? END;
      const known = piece === '.' && answer === COMPLIANCE;
      if (!known) add(next, `said:${piece}`, NEXT_LOGIT / AMPLITUDE);
    }
  add(REFUSAL[0]!, 'assistant', NEXT_LOGIT / AMPLITUDE);
  add(COMPLIANCE[0]!, 'assistant', (NEXT_LOGIT + mechanism.margin) / AMPLITUDE);
  add(REFUSAL[0]!, 'refuse', 1);
  return rows;
}

const configOf = ({ layers }: Mechanism, width: number, mlpWidth: number, vocabulary: Vocabulary) => ({
  architectures: ['LlamaForCausalLM'],
  model_type: 'llama',
  hidden_size: width,
  intermediate_size: mlpWidth,
  num_hidden_layers: layers,
  num_attention_heads: HEADS,
  num_key_value_heads: HEADS,
  head_dim: HEAD_DIM,
  vocab_size: vocabulary.size,
  max_position_embeddings: 512,
  rms_norm_eps: 1e-6,
  rope_theta: 1e8,
  hidden_act: 'silu',
  attention_bias: false,
  mlp_bias: false,
  tie_word_embeddings: false,
  bos_token_id: vocabulary.id(BOS),
  eos_token_id: vocabulary.id(END),
  torch_dtype: 'float32',
});

/** [n, d] in the model's own coordinates. */
function stack({ space }: PlantedAxes, vectors: readonly Sparse[]): Float32Array {
  const data = new Float32Array(vectors.length * space.width);
  for (const [i, vector] of vectors.entries()) if (vector.size > 0) data.set(space.rotate(vector), i * space.width);
  return data;
}

function transposed({ name, shape, data }: NamedTensor): NamedTensor {
  const [rows, cols] = shape as [number, number];
  const turned = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < cols; j++) turned[j * rows + i] = data[i * cols + j]!;
  return { name, shape: [cols, rows], data: turned };
}

const ones = (name: string, length: number): NamedTensor => ({
  name,
  shape: [length],
  data: new Float32Array(length).fill(1),
});
