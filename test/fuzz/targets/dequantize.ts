/** Blocks of every quantization: any bytes are blocks, and a block must decode alike wherever it stands. */
import { ggmlDecoder, QUANTIZED_TYPES } from '../../../shared/tensor-files/ggml-dequantize.js';
import { GGML_TYPES } from '../../../shared/tensor-files/ggml-types.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { randomBytes } from '../mutate/mutate-bytes.js';

const MAX_BLOCKS = 3;
/** What a decoder must not touch. */
const UNTOUCHED = 12_345;

const typeNamed = (name: string) => [...GGML_TYPES.values()].find((type) => type.name === name)!;

export const dequantize: FuzzTarget = {
  name: 'dequantize',
  reads: `blocks of ${QUANTIZED_TYPES.join(', ')}`,
  weight: 300,
  shortCases: 1000,
  open: () => ({
    make: (random) => {
      const name = one(random, QUANTIZED_TYPES);
      const bytes = randomBytes(random, typeNamed(name).blockBytes * (1 + random.below(MAX_BLOCKS)));
      // Scales of all ones are NaN or infinite halves.
      if (chance(random, 0.1)) bytes.fill(one(random, [0, 0x7c, 0xff]), 0, 4);
      return { [name]: bytes };
    },
    decode: (input) => {
      const [[name, bytes]] = Object.entries(input) as [[string, Uint8Array]];
      const { blockBytes, blockValues } = typeNamed(name);
      const decode = ggmlDecoder(name)!;
      const blocks = bytes.length / blockBytes;
      const whole = new Float32Array(blocks * blockValues + 1).fill(UNTOUCHED);
      decode(bytes, 0, blocks, whole, 0);
      if (whole.at(-1) !== UNTOUCHED) throw new Error(`${name} wrote behind its blocks`);
      const last = new Float32Array(blockValues);
      decode(bytes.subarray((blocks - 1) * blockBytes), 0, 1, last, 0);
      for (let i = 0; i < blockValues; i++)
        if (!Object.is(whole[(blocks - 1) * blockValues + i], last[i])) throw new Error(`${name} differs by place`);
      return true;
    },
  }),
};
