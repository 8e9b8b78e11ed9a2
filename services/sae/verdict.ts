/**
 * The bounds of the admission test. Where the release published numbers, an SAE must come near them; where it did not, it must
 * explain half of the variance with a plausible number of features. The dead share is shown and does not decide: on a few hundred
 * positions most features of a wide SAE are silent.
 */
import type { Fit } from './measure-fit.js';
import type { SaeDescription } from './sae-description.js';

export interface Verdict {
  readonly verified: boolean;
  /** Numbers and bounds in one sentence. */
  readonly reason: string;
}

/** Half of the variance: an SAE on the wrong layer or model leaves nearly all of it (measured: docs/services/sae.md). */
const MAX_FVU = 0.5;
/** Prompts are not the text an SAE was measured on: half as much again as the published FVU, and a tenth for small ones. */
const PUBLISHED_FVU_FACTOR = 1.5;
const PUBLISHED_FVU_SLACK = 0.1;
/** L0 may differ from the published one by this factor either way. */
const PUBLISHED_L0_FACTOR = 3;
/** Without a published L0: at least one feature a position, at most a tenth of all. */
const MAX_L0_SHARE = 0.1;

export const judgeFit = (fit: Fit, description: SaeDescription): Verdict => {
  const { published } = description;
  const maxFvu =
    published.fvu === undefined
      ? MAX_FVU
      : Math.min(MAX_FVU, published.fvu * PUBLISHED_FVU_FACTOR + PUBLISHED_FVU_SLACK);
  const [minL0, maxL0] = l0Bounds(description);
  const fvuFits = fit.fvu <= maxFvu;
  const l0Fits = fit.l0 >= minL0 && fit.l0 <= maxL0;
  const fvuText = `FVU ${shown(fit.fvu)} is ${fvuFits ? 'within' : 'above'} ${shown(maxFvu)}${stated(published.fvu)}`;
  const l0Text = `L0 ${shown(fit.l0)} is ${l0Fits ? 'within' : 'outside'} ${shown(minL0)} to ${shown(maxL0)}${stated(published.l0)}`;
  return { verified: fvuFits && l0Fits, reason: `${fvuText}; ${l0Text}; on ${fit.rows} residuals.` };
};

/** [least, most] features a position that an SAE of this description can have. */
export const l0Bounds = ({ published, dSae }: SaeDescription): readonly [number, number] =>
  published.l0 === undefined
    ? [1, dSae * MAX_L0_SHARE]
    : [published.l0 / PUBLISHED_L0_FACTOR, published.l0 * PUBLISHED_L0_FACTOR];

/** A measured number, to three digits. */
export const shown = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3));

const stated = (value: number | undefined): string => (value === undefined ? '' : ` (published ${shown(value)})`);
