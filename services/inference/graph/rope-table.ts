/** Rotary position embedding (Su et al. 2021) as the cosine and sine tables that the RotaryEmbedding operator reads. */
import type { RopeSpec } from '../model/model-spec.js';

/** cos and sin, each [positions, headDim / 2], of position * theta^(-2i / headDim) / divisor_i. */
export function ropeTable(
  rope: RopeSpec,
  headDim: number,
  positions: number,
): { cos: Float32Array; sin: Float32Array } {
  const half = headDim / 2;
  const cos = new Float32Array(positions * half);
  const sin = new Float32Array(positions * half);
  for (let i = 0; i < half; i++) {
    // Rounded to float32 before the product, as the reference implementations do: the angle is their float32 angle.
    const frequency = Math.fround(rope.theta ** ((-2 * i) / headDim) / (rope.frequencyDivisors?.[i] ?? 1));
    for (let p = 0; p < positions; p++) {
      const angle = Math.fround(p * frequency);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return { cos, sin };
}
