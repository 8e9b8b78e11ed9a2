/** Results of the stages behind claims, from the domain to the wire. */
import type * as wire from '../../../proto/gen/refusalscope/v1/search.js';
import type { FamilySet, MinimalSetFamily } from '../stages/enumerate-minimal-sets.js';
import type { SetCost } from '../stages/measure-cost.js';
import type { SufficiencyReport } from '../stages/test-sufficiency.js';
import type { HydraFeature, HydraReport } from '../stages/trace-hydra.js';
import { OUTCOMES } from './results.js';
import { encodeFeature } from './shared-types.js';

const encodeSet = ({ members, score }: FamilySet): wire.FamilySet => ({ members: members.map(encodeFeature), score });

export const encodeFamily = (family: MinimalSetFamily): wire.MinimalSetFamily => ({
  ...family,
  outcome: OUTCOMES[family.outcome],
  sets: family.sets.map(encodeSet),
  sustaining: family.sustaining.map(encodeSet),
  members: family.members.map(({ layer, index, ...member }) => ({ feature: { layer, index }, ...member })),
  necessary: family.necessary.map(encodeFeature),
});

const encodeHydraFeature = ({ layer, index, effect, wakers, ...feature }: HydraFeature): wire.HydraFeature => ({
  ...feature,
  feature: { layer, index },
  effect: effect.mean,
  effectLow: effect.low,
  effectHigh: effect.high,
  wakers: wakers.features.map(encodeFeature),
  awakeAtBos: wakers.positions.bos,
  awakeAtTemplate: wakers.positions.template,
  awakeAtContent: wakers.positions.content,
});

export const encodeHydra = (report: HydraReport): wire.HydraReport => ({
  ...report,
  features: report.features.map(encodeHydraFeature),
  wokenByRound: [...report.wokenByRound],
});

export const encodeSufficiency = (report: SufficiencyReport): wire.SufficiencyReport => ({
  ...report,
  set: { ...report.set },
  random: report.random.map((arm) => ({ ...arm })),
  dormantMembers: report.dormantMembers.map(encodeFeature),
});

export const encodeCosts = (sets: readonly SetCost[]): wire.SuppressionCosts => ({
  sets: sets.map((cost) => ({ ...cost })),
});
