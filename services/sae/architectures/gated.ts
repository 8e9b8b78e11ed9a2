/**
 * Gated SAEs (arXiv 2404.16014): a = relu(z e^r_mag + b_mag) where z + b_gate > 0, with z = h . W_enc. Because both paths share W_enc,
 * this is a JumpReLU of the magnitude path: z > -b_gate is z e^r + b_mag > b_mag - b_gate e^r. Exact, edits included.
 */
import type { Architecture } from './architecture.js';

export const gated: Architecture = {
  name: 'gated',
  buildRule: ({ vector }) => {
    const gain = vector('r_mag').map(Math.exp);
    const bias = vector('b_mag');
    const gate = vector('b_gate');
    return { bias, gain, threshold: bias.map((value, k) => Math.max(0, value - gate[k]! * gain[k]!)) };
  },
};
