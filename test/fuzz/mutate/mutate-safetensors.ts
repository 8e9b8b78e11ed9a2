/** Mutations of a safetensors file: its header as JSON with the length made right again, or the bytes as they are. */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { chance, one } from './edge-values.js';
import { mutateBytes } from './mutate-bytes.js';
import { type Json, mutateJsonText } from './mutate-json.js';

export const mutateSafetensors = (random: SeededRandom, seeds: readonly Uint8Array[]): Buffer => {
  if (chance(random, 0.4)) return mutateBytes(random, seeds);
  const seed = Buffer.from(one(random, seeds));
  const end = 8 + Number(seed.readBigUInt64LE());
  const header = mutateJsonText(random, JSON.parse(seed.toString('utf8', 8, end)) as Json, 3);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = chance(random, 0.1) ? mutateBytes(random, [seed.subarray(end)], 2) : seed.subarray(end);
  return Buffer.concat([length, header, data]);
};
