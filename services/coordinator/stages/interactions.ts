/**
 * Stage "interactions": which features act together. A factorization machine on ablation masks (causal), one on activations (the paper's
 * form), and the strongest pairs of the first measured by exact 2x2 ablations.
 */
import { isFault } from '../../../shared/errors/fault.js';
import type { FitFacts } from '../report/report-type.js';
import { fitActivations } from './fit-activations.js';
import { fitMasks } from './fit-masks.js';
import { measurePairs } from './measure-pairs.js';
import { promptsWithSets } from './search-prompts.js';
import type { Stage, StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

export const interactionsStage: Stage<'interactions'> = {
  name: 'interactions',
  async run(context, earlier) {
    const features = chooseFeatures(earlier, context.spec.fmFeatures);
    const cases = promptsWithSets(context.spec, earlier);
    const masks = await orWarning(context, 'FM_MASKS', () => fitMasks(context, earlier, features, cases));
    const activations = await orWarning(context, 'FM_ACTIVATIONS', () => fitActivations(context, earlier, features));
    const confirmed = masks === null ? [] : await measurePairs(context, earlier, masks.pairs, cases);
    return { features, masks, activations, confirmed };
  },
  summarize: ({ features, masks, confirmed }) => {
    const r2 = masks?.factorizationMachine.r2?.toFixed(3) ?? 'none';
    const linear = masks?.linear.r2?.toFixed(3) ?? 'none';
    return `${features.length} features; held-out R2 ${r2} (linear ${linear}); ${confirmed.length} pairs measured`;
  },
};

/** The features most shared between minimal sets, filled up with the candidates of the largest |cosine|. */
export const chooseFeatures = (earlier: StageResults, count: number): string[] => {
  const sets = new Map<string, number>();
  for (const { members } of earlier.filter.sets) {
    for (const { feature } of members) sets.set(feature, (sets.get(feature) ?? 0) + 1);
  }
  const shared = [...sets].sort((a, b) => b[1] - a[1]).map(([feature]) => feature);
  const near = [...earlier.candidates.features].sort((a, b) => Math.abs(b.cosine) - Math.abs(a.cosine));
  return [...new Set([...shared, ...near.map(({ feature }) => feature)])].slice(0, count);
};

/** Data that cannot be fitted (too few rows, say) is a finding, not a failure: it becomes a warning. Other faults go on. */
const orWarning = async (
  context: StageContext,
  code: string,
  attempt: () => Promise<FitFacts>,
): Promise<FitFacts | null> => {
  try {
    return await attempt();
  } catch (thrown) {
    if (!isFault(thrown, 'REQUEST_INVALID') && !isFault(thrown, 'AUDIT_IMPOSSIBLE')) throw thrown;
    context.warn(code, thrown.message);
    return null;
  }
};
