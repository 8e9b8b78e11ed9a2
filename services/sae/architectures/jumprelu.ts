/** JumpReLU (arXiv 2407.14435): a = z where z > threshold, and z > 0. BatchTopK and Matryoshka SAEs are this at inference. */
import type { Architecture } from './architecture.js';

export const jumprelu: Architecture = {
  name: 'jumprelu',
  buildRule: ({ vector }) => ({
    bias: vector('b_enc'),
    // SAELens applies relu before the jump: a threshold below 0 never lets a negative activation through.
    threshold: vector('threshold').map((value) => Math.max(0, value)),
  }),
};
