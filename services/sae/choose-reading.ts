/**
 * Decides how files are to be understood that leave the normalization open: every reading is measured on the same residuals. Of
 * those with a plausible L0 (verdict.ts; any, if none has one), the one that explains most is kept; where two explain alike, the
 * published L0 decides. L0 comes first, because a threshold that is too low adds features and can explain a little more.
 */
import { type InputScale, meanGainOut } from './input-scale.js';
import { type Fit, measureFit } from './measure-fit.js';
import type { OpenSae } from './open-sae.js';
import type { Sae } from './sae.js';
import type { Reading } from './sae-description.js';
import { l0Bounds, shown } from './verdict.js';

/** Readings whose FVU differs by less are taken to explain the residuals alike. */
const SAME_FVU = 0.02;

export interface ChosenReading {
  readonly reading: Reading;
  readonly sae: Sae;
  readonly fit: Fit;
  /** Every reading with its numbers, for the record; empty where there was nothing to choose. */
  readonly record: string;
}

export const chooseReading = (open: OpenSae, residual: Float32Array, checkpoint?: () => void): ChosenReading => {
  const { readings, dIn, published } = open.description;
  const measured = readings.map((reading) => {
    const sae = open.as(reading, resolveScale(reading, residual, dIn));
    return { reading, sae, fit: measureFit(sae, residual, checkpoint) };
  });
  const [minL0, maxL0] = l0Bounds(open.description);
  const plausible = measured.filter(({ fit }) => fit.l0 >= minL0 && fit.l0 <= maxL0);
  const candidates = plausible.length > 0 ? plausible : measured;
  const least = Math.min(...candidates.map(({ fit }) => fit.fvu));
  const alike = candidates.filter(({ fit }) => fit.fvu <= least + SAME_FVU);
  const best = alike.reduce((a, b) => (distanceToL0(b.fit, published.l0) < distanceToL0(a.fit, published.l0) ? b : a));
  const record = measured.map(({ reading, fit }) => `${reading.name}: fvu ${shown(fit.fvu)}, l0 ${shown(fit.l0)}`);
  return {
    ...best,
    record: measured.length === 1 ? '' : `Reading "${best.reading.name}" chosen of ${record.join('; ')}.`,
  };
};

/** A reading that needs no residuals to be settled; undefined if the admission test has to decide. */
export const settledSae = (open: OpenSae): Sae | undefined => {
  const [first, ...others] = open.description.readings;
  if (others.length > 0 || first.inputScale.kind === 'measured-mean') return undefined;
  return open.as(first, first.inputScale);
};

/** The scale sqrt(d) / mean |x| of `measured-mean`; other scales as they are. */
const resolveScale = ({ inputScale }: Reading, residual: Float32Array, d: number): InputScale => {
  if (inputScale.kind !== 'measured-mean') return inputScale;
  // The mean of |x| / sqrt(d) is the factor that undoes it.
  const { mean } = meanGainOut({ kind: 'constant-norm' }, residual, d);
  return { kind: 'fixed', scale: mean === 0 ? 1 : 1 / mean };
};

const distanceToL0 = ({ l0, fvu }: Fit, published: number | undefined): number =>
  published === undefined ? fvu : Math.abs(Math.log((l0 + 1) / (published + 1)));
