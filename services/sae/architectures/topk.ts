/**
 * TopK (arXiv 2406.04093): the k largest z of a position, then relu. With `rescale_acts_by_decoder_norm` features compete by
 * z |W_dec[k]| and write W_dec[k] / |W_dec[k]|; that much of the norm folds exactly, and nothing else does.
 */
import type { Architecture } from './architecture.js';

export const topk: Architecture = {
  name: 'topk',
  buildRule: ({ vector, decoderNorms, description }) => {
    const base = { threshold: new Float32Array(description.dSae), k: description.k ?? 1 };
    const bias = vector('b_enc');
    if (description.rescalesByDecoderNorm !== true) return { ...base, bias };
    const norms = decoderNorms();
    return {
      ...base,
      bias: bias.map((value, k) => value * norms[k]!),
      gain: norms,
      writeScale: norms.map((norm) => (norm === 0 ? 0 : 1 / norm)),
    };
  },
  approximation:
    'TopK: which features are on depends on all others, and an edit reads its own feature alone. It is on above one threshold, the mean smallest selected activation of the admission residuals; zeroing a feature does not let the next one in.',
};
