/**
 * GGUF files put together from parts that lie: counts, lengths, types, dimensions and offsets are each wrong now and then, and the rest
 * stands where it must, so that a reader gets past the first fields.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { buildGguf, ggufBytes, keyValue, type TensorEntrySpec } from '../../unit/tensor-files/gguf-bytes.js';
import { chance, EDGE_TEXTS, edgeInteger, fewOf, one } from './edge-values.js';
import { mutateBytes, randomBytes } from './mutate-bytes.js';

const { u32, u64, text } = ggufBytes;

/** Value types with the bytes of a sound value; 9 is a list. */
const VALUES: readonly (readonly [type: number, bytes: number])[] = [
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 4],
  [5, 4],
  [6, 4],
  [7, 1],
  [10, 8],
  [11, 8],
  [12, 8],
];

const KEYS = [
  'general.alignment',
  'general.architecture',
  'general.quantization_version',
  'split.count',
  'tokenizer.ggml.model',
  'tokenizer.ggml.tokens',
  'tokenizer.ggml.scores',
  'tokenizer.ggml.token_type',
  'tokenizer.ggml.bos_token_id',
  'tokenizer.ggml.merges',
  'tokenizer.chat_template',
];

const listValue = (random: SeededRandom, depth: number): Buffer => {
  const [type, bytes] = one(random, VALUES);
  const count = random.below(6);
  const said = chance(random, 0.1) ? edgeInteger(random) : BigInt(count);
  if (depth < 6 && chance(random, 0.2))
    return Buffer.concat([u32(9), u64(said), ...Array.from({ length: count }, () => listValue(random, depth + 1))]);
  if (chance(random, 0.4))
    return Buffer.concat([u32(8), u64(said), ...Array.from({ length: count }, () => text(one(random, EDGE_TEXTS)))]);
  return Buffer.concat([u32(type), u64(said), randomBytes(random, count * bytes)]);
};

const entry = (random: SeededRandom): Buffer => {
  const key = chance(random, 0.8) ? one(random, KEYS) : one(random, EDGE_TEXTS);
  const kind = random.below(10);
  if (kind < 3) return keyValue(key, 8, text(one(random, ['llama', 'gpt2', ...EDGE_TEXTS])));
  if (kind < 6) return keyValue(key, 9, listValue(random, 0));
  const [type, bytes] = one(random, VALUES);
  const value = chance(random, 0.5)
    ? Buffer.from([32, 0, 0, 0, 0, 0, 0, 0]).subarray(0, bytes)
    : randomBytes(random, bytes);
  return keyValue(key, chance(random, 0.05) ? random.below(20) : type, value);
};

const tensor = (random: SeededRandom, at: number): TensorEntrySpec => ({
  name: chance(random, 0.9) ? `t${at}` : one(random, EDGE_TEXTS).slice(0, 80),
  dimensions: Array.from({ length: random.below(chance(random, 0.05) ? 7 : 3) }, () =>
    chance(random, 0.1) ? edgeInteger(random) : one(random, [1, 2, 4, 8, 32, 256]),
  ),
  type: chance(random, 0.9) ? one(random, [0, 1, 2, 3, 6, 7, 8, 10, 11, 12, 13, 14, 30, 24]) : random.below(64),
  offset: chance(random, 0.1) ? edgeInteger(random) : 32 * random.below(64),
});

export const builtGguf = (random: SeededRandom): Buffer => {
  const keys = Array.from({ length: random.below(6) }, () => entry(random));
  const tensors = Array.from({ length: random.below(4) }, (_, at) => tensor(random, at));
  const bytes = buildGguf({
    version: chance(random, 0.95) ? one(random, [2, 3]) : random.below(2 ** 32),
    keys,
    tensors,
    ...(chance(random, 0.1) && { tensorCount: edgeInteger(random) }),
    ...(chance(random, 0.1) && { keyCount: edgeInteger(random) }),
    dataBytes: chance(random, 0.5) ? 4096 : random.below(fewOf(random, 8192)),
  });
  return chance(random, 0.2) ? mutateBytes(random, [bytes], 2) : bytes;
};
