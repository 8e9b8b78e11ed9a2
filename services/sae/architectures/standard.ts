/** The plain SAE: a = relu(z). */
import type { Architecture } from './architecture.js';

export const standard: Architecture = {
  name: 'standard',
  buildRule: ({ vector, description }) => ({
    bias: vector('b_enc'),
    threshold: new Float32Array(description.dSae),
  }),
};
