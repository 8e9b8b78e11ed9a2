/** The numbers a reader wants first, each counted from the stages' results. */
import type { StageResults } from '../stages/stage-results.js';
import { describeSpread } from './describe-spread.js';
import type { ControlArmName, Summary } from './report-type.js';
import { summarizeClaims } from './summarize-claims.js';

export const summarize = (results: StageResults): Summary => {
  const { openers, filter, verify, interactions } = results;
  const { sets } = filter;
  const found = sets.filter((set) => set.outcome === 'found');
  const judged = verify.complied + verify.partial + verify.refused;
  return {
    harmfulRefused: openers.openers.harmfulRefused,
    harmlessRefused: openers.openers.harmlessRefused,
    minimalSetsFound: { count: found.length, of: sets.length },
    noFlip: { count: sets.filter((set) => set.outcome === 'no flip').length, of: sets.length },
    oneMinimal: { count: found.filter((set) => set.oneMinimal).length, of: found.length },
    setSize: describeSpread(found.map((set) => set.members.length)),
    flipsConfirmedByText: { count: verify.complied + verify.partial, of: judged },
    scoreTextAgreement: verify.agreement,
    setsWithDormantMembers: {
      count: results.dormant.prompts.filter((prompt) => prompt.dormantMembers.length > 0).length,
      of: results.dormant.prompts.length,
    },
    distinctFeatures: new Set(found.flatMap((set) => set.members.map((member) => member.feature))).size,
    fmR2: interactions.masks?.factorizationMachine.r2 ?? null,
    linearR2: interactions.masks?.linear.r2 ?? null,
    controlFlips: listControlFlips(results),
    firstFlippingLayer:
      results.depth.layers.find(({ flipsAlone }) => flipsAlone.of > 0 && flipsAlone.count * 2 >= flipsAlone.of)
        ?.layer ?? null,
    claims: summarizeClaims(results),
  };
};

const CONTROL_ARMS: readonly ControlArmName[] = [
  'randomFeatures',
  'randomActiveFeatures',
  'randomDirections',
  'directionAblation',
];

const listControlFlips = ({ controls }: StageResults): Summary['controlFlips'] =>
  CONTROL_ARMS.flatMap((arm) => {
    const facts = controls[arm];
    return facts === null ? [] : [{ arm, flips: facts.flips }];
  });
