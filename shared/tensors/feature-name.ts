/** Feature names as people write them, "layer/index": the only parser and the only printer, and the order that lists of features have. */
import { fault } from '../errors/fault.js';

export interface FeatureId {
  /** The block whose output the SAE encodes. */
  readonly layer: number;
  readonly index: number;
}

const FEATURE_PATTERN = /^(\d{1,4})\/(\d{1,9})$/;

export const formatFeature = (feature: FeatureId): string => `${feature.layer}/${feature.index}`;

/** Throws REQUEST_INVALID for anything but "layer/index" in decimal digits. */
export const parseFeature = (name: string): FeatureId => {
  const match = FEATURE_PATTERN.exec(name.trim());
  if (match === null) {
    const shown = JSON.stringify(name.slice(0, 40));
    throw fault('REQUEST_INVALID', `${shown} is not a feature: write layer/index, such as 13/5.`);
  }
  return { layer: Number(match[1]), index: Number(match[2]) };
};

/** By layer, then index. */
export const compareFeatures = (a: FeatureId, b: FeatureId): number => a.layer - b.layer || a.index - b.index;
