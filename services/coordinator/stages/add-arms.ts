/** Arms that were counted prompt by prompt, as one: counts add up, the mean is weighted by the number of draws. */
import type { ControlArmFacts } from '../report/report-type.js';

/** null if no prompt had this arm. */
export const addArms = (arms: readonly (ControlArmFacts | null)[]): ControlArmFacts | null => {
  const run = arms.filter((arm) => arm !== null);
  const of = run.reduce((total, arm) => total + arm.flips.of, 0);
  if (of === 0) return null;
  return {
    flips: { count: run.reduce((total, arm) => total + arm.flips.count, 0), of },
    meanScoreChange: run.reduce((total, arm) => total + arm.meanScoreChange * arm.flips.of, 0) / of,
    didNotAct: run.reduce((total, arm) => total + arm.didNotAct, 0),
  };
};
