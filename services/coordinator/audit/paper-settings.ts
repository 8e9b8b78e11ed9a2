/**
 * Settings of the stages as arXiv 2509.09708 publishes them. What the paper leaves open (the threshold it chose, how features of stage 3
 * are ranked) is a setting or is named in docs/models.md; nothing is filled in silently.
 */
import type { PaperSettings as WireSettings } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { fault } from '../../../shared/errors/fault.js';

export interface PaperSettings {
  /** Candidates a block. */
  readonly blockSize: number;
  /** Random orders that are intersected. */
  readonly seeds: number;
  /** Change of p("I") above which a block is needed. */
  readonly threshold: number;
  /** Ascending; each is tried on every searched prompt. */
  readonly thresholds: readonly number[];
  readonly fmRank: number;
  readonly fmLearningRate: number;
  readonly fmEpochs: number;
  /** How many of the machine's first features are ablated together; ascending. */
  readonly topFeatures: readonly number[];
  /** For cross-entropy, beside the harmless prompts. */
  readonly plainTexts: readonly string[];
}

export const PUBLISHED_SETTINGS = {
  blockSize: 5,
  seeds: 3,
  threshold: 0.1,
  thresholds: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
  fmRank: 20,
  fmLearningRate: 1e-3,
  fmEpochs: 20,
  topFeatures: [100, 500, 1000, 2000],
} as const;

const MAX_TEXTS = 1024;
const MAX_TEXT_BYTES = 65_536;
const MAX_THRESHOLDS = 32;
const MAX_TOP_FEATURES = 2000;

/** With the published values in place of zeros and empty lists. Throws REQUEST_INVALID, naming the field. */
export const decodePaperSettings = (wire: WireSettings): PaperSettings => {
  const settings: PaperSettings = {
    blockSize: wire.blockSize || PUBLISHED_SETTINGS.blockSize,
    seeds: wire.seeds || PUBLISHED_SETTINGS.seeds,
    threshold: wire.threshold || PUBLISHED_SETTINGS.threshold,
    thresholds: wire.thresholds.length > 0 ? [...wire.thresholds] : [...PUBLISHED_SETTINGS.thresholds],
    fmRank: wire.fmRank || PUBLISHED_SETTINGS.fmRank,
    fmLearningRate: wire.fmLearningRate || PUBLISHED_SETTINGS.fmLearningRate,
    fmEpochs: wire.fmEpochs || PUBLISHED_SETTINGS.fmEpochs,
    topFeatures: wire.topFeatures.length > 0 ? [...wire.topFeatures] : [...PUBLISHED_SETTINGS.topFeatures],
    plainTexts: [...wire.plainTexts],
  };
  checkRange('block_size', settings.blockSize, 1, 65_536);
  checkRange('seeds', settings.seeds, 1, 64);
  checkRange('fm_rank', settings.fmRank, 1, 256);
  checkRange('fm_epochs', settings.fmEpochs, 1, 10_000);
  checkAscending('thresholds', settings.thresholds, 1, MAX_THRESHOLDS);
  checkAscending('top_features', settings.topFeatures, MAX_TOP_FEATURES, MAX_THRESHOLDS);
  for (const threshold of [settings.threshold, ...settings.thresholds]) {
    if (!(threshold > 0 && threshold <= 1))
      throw invalid(`threshold ${threshold} is not above 0 and at most 1: it is a change of a probability.`);
  }
  for (const count of settings.topFeatures) checkRange('top_features', count, 1, MAX_TOP_FEATURES);
  checkTexts(settings.plainTexts);
  return settings;
};

const checkRange = (name: string, value: number, min: number, max: number): void => {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw invalid(`paper.${name} is ${value}; it must be a whole number between ${min} and ${max}.`);
};

const checkAscending = (name: string, values: readonly number[], max: number, most: number): void => {
  if (values.length > most) throw invalid(`paper.${name} has ${values.length} values; at most ${most} are taken.`);
  values.forEach((value, i) => {
    if (value > max) throw invalid(`paper.${name} holds ${value}; at most ${max} is taken.`);
    if (i > 0 && value <= values[i - 1]!)
      throw invalid(`paper.${name} must be ascending without repeats; ${value} follows ${values[i - 1]}.`);
  });
};

const checkTexts = (texts: readonly string[]): void => {
  if (texts.length > MAX_TEXTS)
    throw invalid(`paper.plain_texts has ${texts.length} texts; at most ${MAX_TEXTS} are taken.`);
  texts.forEach((text, i) => {
    const bytes = Buffer.byteLength(text);
    if (text.trim() === '' || bytes > MAX_TEXT_BYTES)
      throw invalid(`paper.plain_texts[${i}] has ${bytes} bytes; 1 to ${MAX_TEXT_BYTES} are taken.`);
  });
};

const invalid = (text: string) => fault('REQUEST_INVALID', text);
