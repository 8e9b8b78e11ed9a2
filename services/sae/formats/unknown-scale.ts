import { type Reading, settledReading } from '../sae-description.js';

/** The readings of an SAE that was trained on scaled inputs and whose files do not give the scale. */
export const unknownScaleReadings = (): [Reading, ...Reading[]] => [
  settledReading({ kind: 'fixed', scale: 1 }, 'no scale (folded already)'),
  {
    name: 'scale sqrt(d) / mean norm, measured',
    inputScale: { kind: 'measured-mean' },
    thresholdFactor: 1,
    thresholdByDecoderNorm: false,
  },
  settledReading({ kind: 'constant-norm' }, 'each residual scaled by its own norm'),
];
