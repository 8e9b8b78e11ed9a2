/**
 * A model whose refusal is one known direction: the residual of layer l at position p is h g v(l, p) plus noise, h = 1 for harmful
 * prompts and -1 for harmless ones, and the score reads what the edits leave of e0. It reads the edits from the bank's own rows, so
 * that wrong rows show as wrong scores.
 */
import type { Bank } from '../../../services/search/model/bank.js';
import type { Evaluation, Prompt, RefusalModel } from '../../../services/search/model/model-port.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';

export const LINEAR_LAYERS = 10;
export const LINEAR_WIDTH = 8;
const GAIN = 2;
const TOKENS = 6;

type Vector = readonly number[];
const mix = (parts: Record<number, number>): Vector => {
  const raw = Array.from({ length: LINEAR_WIDTH }, (_, i) => parts[i] ?? 0);
  const norm = Math.hypot(...raw);
  return raw.map((value) => value / norm);
};

/** Layer 4 at the last position is the truth; 5 is near it; 6 and 7 harm; 8 and 9 are too late; the rest and position -2 are idle. */
export function trueDirection(layer: number, position: number): Vector {
  if (position !== -1 || layer < 4) return mix({ 1: 1 });
  if (layer === 5) return mix({ 0: 0.9, 3: 0.4 });
  if (layer === 6 || layer === 7) return mix({ 0: 1, 2: 0.5 });
  return mix({ 0: 1 });
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};

interface Effect {
  /** Share of e0 that ablation left. */
  left: number;
  added: number;
  kl: number;
  layersAblated: Set<number>;
}

function effectOf(bank: Bank, on: readonly number[]): Effect {
  const effect: Effect = { left: 1, added: 0, kl: 0, layersAblated: new Set() };
  let offset = 0;
  for (const edits of bank.layers) {
    for (const edit of on.filter((index) => index >= offset && index < offset + edits.names.length)) {
      const row = edit - offset;
      const part = (data: Float32Array) => data.subarray(row * LINEAR_WIDTH, (row + 1) * LINEAR_WIDTH);
      const write = part(edits.write.data);
      if (part(edits.read.data).every((value) => value === 0)) effect.added += edits.target[row]! * write[0]!;
      else {
        effect.layersAblated.add(edits.layer);
        effect.left = 1 - write[0]! ** 2;
        effect.kl = 0.5 * Math.abs(write[2]!);
      }
    }
    offset += edits.names.length;
  }
  return effect;
}

export interface LinearOptions {
  /** Prompts whose score contradicts their label. */
  readonly contrary?: readonly string[];
  /** Layers whose residuals are NaN. */
  readonly broken?: readonly number[];
}

export function createLinearModel({
  contrary = [],
  broken = [],
}: LinearOptions = {}): RefusalModel & { evaluations: number } {
  const side = ({ id }: Prompt) => (id.startsWith('h') ? 1 : -1);
  const scoreOf = (prompt: Prompt, bank: Bank, on: readonly number[]): Evaluation => {
    const effect = effectOf(bank, on);
    if (effect.layersAblated.size !== 0 && effect.layersAblated.size !== LINEAR_LAYERS)
      throw new Error('ablated at some layers only');
    const flip = contrary.includes(prompt.id) ? -1 : 1;
    const refusalScore = flip * 3 * side(prompt) * effect.left - 1 * (1 - effect.left) + 2 * effect.added;
    const firstTokenKl = effect.kl;
    return { refusalScore, firstTokenScore: 0, pI: 0.5, firstTokenKl, acted: on.length > 0, proof: [] };
  };
  const model: RefusalModel & { evaluations: number } = {
    evaluations: 0,
    describe: async () => ({
      model: 'linear',
      nLayers: LINEAR_LAYERS,
      dModel: LINEAR_WIDTH,
      templateSuffixLength: 2,
      digest: 'linear',
      limits: { maxPrompts: 64, maxEvaluations: 4096, maxBankEdits: 4096, maxNewTokens: 8 },
    }),
    tokenize: async (prompts) => ({
      prompts: prompts.map(({ id }) => ({
        tokenIds: [1, 5, 6, Number(id.slice(1)), side({ id } as Prompt) + 10, 2],
        instructionStart: 1,
        instructionEnd: 4,
      })),
      pieces: [],
    }),
    evaluate: async function* (batch) {
      model.evaluations += batch.evaluations.length;
      yield batch.evaluations.map(({ prompt, on }, index) => ({
        index,
        evaluation: scoreOf(batch.prompts[prompt]!, batch.bank, on),
        tokenBlocks: 60,
      }));
    },
    capture: async function* ({ prompts, layers, positions }) {
      for (const [promptIndex, prompt] of prompts.entries()) {
        const random = createSeededRandom(Number(prompt.id.slice(1))).fork(prompt.id);
        const residuals = new Map(
          layers.map((layer) => {
            const rows = positions.map((position) =>
              trueDirection(layer, position).map((v) =>
                broken.includes(layer) ? Number.NaN : side(prompt) * GAIN * v + 1e-3 * random.normal(),
              ),
            );
            return [layer, { rows: rows.length, cols: LINEAR_WIDTH, data: Float32Array.from(rows.flat()) }] as const;
          }),
        );
        // Positions come counted from the start, here in falling order to show that the caller sorts them out.
        const order = positions.map((_, i) => i).reverse();
        const reversed = new Map(
          [...residuals].map(([layer, { cols, data }]) => [
            layer,
            {
              rows: order.length,
              cols,
              data: Float32Array.from(order.flatMap((row) => [...data.subarray(row * cols, (row + 1) * cols)])),
            },
          ]),
        );
        yield { promptIndex, positions: order.map((i) => TOKENS + positions[i]!), residuals: reversed, proof: [] };
      }
    },
    generate: async () => [],
    crossEntropy: async () => [],
  };
  return model;
}

export const cosineWith = (vector: Float32Array, truth: Vector): number => dot(vector, truth) / Math.hypot(...vector);
