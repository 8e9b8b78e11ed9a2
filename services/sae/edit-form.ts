/**
 * What an edit of one feature reads and writes, where the SAE itself is not a fixed linear read with a threshold:
 *
 *   constant-norm, layer-norm   the scale differs by position; edits use its mean over the admission residuals
 *   TopK                        what is on depends on all features; edits use one threshold, measured on the same residuals
 *
 * Both are approximations, both are measured, and both are said in `note`. An SAE that needs none of them is exact.
 */
import { findArchitecture } from './architectures/find-architecture.js';
import { encodeResiduals } from './encode-residuals.js';
import { meanGainOut } from './input-scale.js';
import type { Sae } from './sae.js';
import type { SaeDescription } from './sae-description.js';
import type { SparseRow } from './sparse-rows.js';

export interface EditForm {
  readonly exact: boolean;
  readonly note: string;
  /** The factor on the input that edits use; its inverse is the factor on what they write. */
  readonly gainIn: number;
  /** Only TopK: the threshold of every feature. */
  readonly threshold?: number;
}

/** Rows on which TopK and its threshold are compared. */
const MAX_COMPARED_ROWS = 512;

const EXACT_NOTE = 'Exact: an edit to 0 is the ablation of the SAE itself.';

/** The form of an SAE that needs no measuring, or undefined. */
export const exactEditForm = (sae: Sae): EditForm | undefined =>
  sae.rule.k === undefined && sae.inputScale.kind === 'fixed'
    ? { exact: true, note: EXACT_NOTE, gainIn: sae.inputScale.scale }
    : undefined;

/** Whether edits will be exact, and what to say of them, before the file is opened. */
export const statedEditForm = (description: SaeDescription): Pick<EditForm, 'exact' | 'note'> => {
  const { architecture, readings } = description;
  const exact = architecture !== 'topk' && readings.length === 1 && readings[0].inputScale.kind === 'fixed';
  return { exact, note: exact ? EXACT_NOTE : pendingEditNote(description) };
};

/** What to say of an SAE whose form is not measured yet. */
export const pendingEditNote = (description: SaeDescription): string => {
  const { approximation } = findArchitecture(description.architecture);
  const open = description.readings.length > 1 ? ['The files leave the normalization open.'] : [];
  const scaled = description.readings.some(({ inputScale }) => inputScale.kind !== 'fixed') ? [SCALE_NOTE] : [];
  return [...open, ...scaled, ...(approximation === undefined ? [] : [approximation]), 'Call AdmitSae first.'].join(
    ' ',
  );
};

const SCALE_NOTE = 'The scale of the input differs by position; an edit uses the mean over the admission residuals.';

/** The form measured on residuals [n, d_in]. */
export const measureEditForm = (sae: Sae, description: SaeDescription, residual: Float32Array): EditForm => {
  const exact = exactEditForm(sae);
  if (exact !== undefined) return exact;
  const { mean, spread } = meanGainOut(sae.inputScale, residual, sae.dIn);
  const gainIn = mean === 0 ? 1 : 1 / mean;
  const notes = sae.inputScale.kind === 'fixed' ? [] : [`${SCALE_NOTE} It varies by ${percent(spread)}.`];
  if (sae.rule.k === undefined) return { exact: false, note: notes.join(' '), gainIn };
  const { threshold, agreement } = measureThreshold(sae, residual.subarray(0, MAX_COMPARED_ROWS * sae.dIn));
  notes.push(
    findArchitecture(description.architecture).approximation ?? '',
    `Threshold ${threshold.toPrecision(4)}; of all features on by either rule, ${percent(agreement)} are on by both.`,
  );
  return { exact: false, note: notes.join(' '), gainIn, threshold };
};

const percent = (share: number): string => `${(100 * share).toFixed(0)} %`;

/** The mean smallest activation that TopK lets through, and how far a threshold there picks the same features. */
const measureThreshold = (sae: Sae, residual: Float32Array): { threshold: number; agreement: number } => {
  const chosen = encodeResiduals(sae, residual);
  const smallest = chosen.filter(({ values }) => values.length > 0).map(({ values }) => Math.min(...values));
  const threshold = Math.fround(smallest.reduce((sum, value) => sum + value, 0) / Math.max(1, smallest.length));
  const { k: _, ...plain } = sae.rule;
  const rule = { ...plain, threshold: new Float32Array(sae.dSae).fill(threshold) };
  return { threshold, agreement: agreementOf(chosen, encodeResiduals({ ...sae, rule }, residual)) };
};

const agreementOf = (a: readonly SparseRow[], b: readonly SparseRow[]): number => {
  let both = 0;
  let either = 0;
  a.forEach(({ indices }, r) => {
    const other = new Set(b[r]!.indices);
    const shared = indices.filter((index) => other.has(index)).length;
    both += shared;
    either += indices.length + other.size - shared;
  });
  return either === 0 ? 1 : both / either;
};
