/** What GetEditRows accepts: distinct features, a bounded number of them, and a finite value to move them to. */
import { fault } from '../../shared/errors/fault.js';
import { type FeatureId, formatFeature } from '../../shared/tensors/feature-name.js';

const MAX_FEATURES = 65_536;

/** Throws REQUEST_INVALID, REQUEST_TOO_LARGE, NOT_FINITE. */
export const assertEditRequest = (features: readonly FeatureId[], target: number): void => {
  if (features.length === 0) throw fault('REQUEST_INVALID', 'features is empty; name 1 feature at least.');
  if (features.length > MAX_FEATURES)
    throw fault(
      'REQUEST_TOO_LARGE',
      `features has ${features.length} entries; at most ${MAX_FEATURES} are allowed. Ask for them in parts.`,
    );
  // The edit itself is float32: a finite double beyond its range would become infinite there.
  if (!Number.isFinite(Math.fround(target)))
    throw fault('NOT_FINITE', `target is ${target}; it must be a finite float32 number, such as 0.`);
  const seen = new Set<string>();
  for (const feature of features) {
    const name = formatFeature(feature);
    if (seen.has(name)) throw fault('REQUEST_INVALID', `Feature ${name} is named twice; features must be distinct.`);
    seen.add(name);
  }
};
