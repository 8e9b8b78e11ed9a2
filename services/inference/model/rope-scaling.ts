/**
 * The scalings of rotary embeddings as divisors of their frequencies. Owns the list of those that are read; any other would give
 * fluent and wrong answers on long prompts, so it is refused.
 */
import type { RopeSpec } from './model-spec.js';

/** Llama 3.1: long wavelengths are divided by `factor`, short ones are kept, those between are blended (its config's rope_type "llama3"). */
export interface Llama3Scaling {
  readonly factor: number;
  readonly lowFrequencyFactor: number;
  readonly highFrequencyFactor: number;
  /** Positions of the pre-training, before scaling. */
  readonly originalContext: number;
}

/** Linear scaling (Chen et al. 2023): every position counts 1 / factor. */
export const linearRope = (theta: number, headDim: number, factor: number): RopeSpec =>
  factor === 1 ? { theta } : { theta, frequencyDivisors: new Array<number>(headDim / 2).fill(factor) };

export function llama3Rope(theta: number, headDim: number, scaling: Llama3Scaling): RopeSpec {
  const { factor, lowFrequencyFactor, highFrequencyFactor, originalContext } = scaling;
  const frequencyDivisors = Array.from({ length: headDim / 2 }, (_, i) => {
    const wavelength = 2 * Math.PI * theta ** ((2 * i) / headDim);
    if (wavelength < originalContext / highFrequencyFactor) return 1;
    if (wavelength > originalContext / lowFrequencyFactor) return factor;
    const kept = (originalContext / wavelength - lowFrequencyFactor) / (highFrequencyFactor - lowFrequencyFactor);
    return 1 / ((1 - kept) / factor + kept);
  });
  return { theta, frequencyDivisors };
}
