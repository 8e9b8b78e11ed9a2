/**
 * Quantized GGUF blocks to float32, bit for bit what the `gguf` Python package gives. Owns the list of the types that can be read;
 * a type that is missing here is refused by name, never guessed.
 */
import { decodeQ2_K, decodeQ3_K, decodeQ4_K, decodeQ5_K, decodeQ6_K } from './ggml-k-quants.js';
import { type BlockDecoder, decodeQ4_0, decodeQ4_1, decodeQ5_0, decodeQ5_1, decodeQ8_0 } from './ggml-legacy-quants.js';

const DECODERS: ReadonlyMap<string, BlockDecoder> = new Map<string, BlockDecoder>([
  ['Q4_0', decodeQ4_0],
  ['Q4_1', decodeQ4_1],
  ['Q5_0', decodeQ5_0],
  ['Q5_1', decodeQ5_1],
  ['Q8_0', decodeQ8_0],
  ['Q2_K', decodeQ2_K],
  ['Q3_K', decodeQ3_K],
  ['Q4_K', decodeQ4_K],
  ['Q5_K', decodeQ5_K],
  ['Q6_K', decodeQ6_K],
]);

/** The quantized types that can be read. */
export const QUANTIZED_TYPES: readonly string[] = [...DECODERS.keys()];

/** The decoder of a quantized type, or undefined where the type cannot be read. */
export const ggmlDecoder = (typeName: string): BlockDecoder | undefined => DECODERS.get(typeName);
