/** Messages of the search stages behind claims as the plain facts of the report. */
import type {
  HydraFeature,
  HydraReport,
  MinimalSetFamily,
  SetCost,
  SufficiencyArm,
  SufficiencyReport,
  FamilySet as WireFamilySet,
} from '../../../proto/gen/refusalscope/v1/search.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import type {
  CostFacts,
  FamilyFacts,
  FamilySetFacts,
  HydraFeatureFacts,
  HydraTrace,
  SufficiencyArmFacts,
  SufficiencyFacts,
} from '../report/report-type.js';
import { decodeFeature, decodeOutcome, present } from './from-wire.js';

const decodeSet = ({ members, score }: WireFamilySet): FamilySetFacts => ({
  members: members.map(formatFeature),
  score,
});

export const decodeFamily = (
  family: MinimalSetFamily,
  asked: Pick<FamilyFacts, 'promptId' | 'candidates' | 'candidatesPerLayer'>,
): FamilyFacts => ({
  ...asked,
  outcome: decodeOutcome(family.outcome),
  cleanScore: family.cleanScore,
  allOffScore: family.allOffScore,
  sets: family.sets.map(decodeSet),
  sustaining: family.sustaining.map(decodeSet),
  members: family.members.map(({ feature, cosine, cleanActivation, inSets }) => ({
    feature: decodeFeature(feature),
    cosine,
    cleanActivation,
    inSets,
  })),
  necessary: family.necessary.map(formatFeature),
  disjointSets: family.disjointSets,
  depthOfDefence: family.depthOfDefence,
  complete: family.complete,
  violations: family.violations,
  evaluations: family.evaluations,
});

export const decodeHydra = (report: HydraReport): HydraTrace => ({
  depth: report.depth,
  tested: report.tested,
  wokenByRound: [...report.wokenByRound],
  features: report.features.map((feature) => decodeHydraFeature(feature, report.prompts)),
});

const decodeHydraFeature = (feature: HydraFeature, prompts: number): HydraFeatureFacts => ({
  feature: decodeFeature(feature.feature),
  round: feature.round,
  wokeIn: { count: feature.wokeIn, of: prompts },
  activation: feature.activation,
  effect: feature.effect,
  effectLow: feature.effectLow,
  effectHigh: feature.effectHigh,
  context: feature.context === 'closure' ? 'closure' : 'step',
  intactEffect: feature.intactEffect,
  nullEffect: feature.nullEffect,
  nullLargest: feature.nullLargest,
  qValue: feature.qValue,
  wakers: feature.wakers.map(formatFeature),
  awakeAt: { bos: feature.awakeAtBos, template: feature.awakeAtTemplate, content: feature.awakeAtContent },
});

export const decodeSufficiency = (report: SufficiencyReport, promptId: string): SufficiencyFacts => {
  const decodeArm = (arm: SufficiencyArm): SufficiencyArmFacts => ({
    leftOnScore: arm.leftOnScore,
    putBackScore: arm.putBackScore,
    harmlessRefused: { count: arm.harmlessRefused, of: report.harmlessTotal },
    meanHarmlessScore: report.harmlessTotal === 0 ? null : arm.meanHarmlessScore,
  });
  return {
    promptId,
    cleanScore: report.cleanScore,
    allOffScore: report.allOffScore,
    set: decodeArm(present(report.set, 'the set of a sufficiency test')),
    random: report.random.map(decodeArm),
    dormantMembers: report.dormantMembers.map(formatFeature),
  };
};

export const decodeCost = (
  cost: SetCost,
): Pick<CostFacts, 'meanKl' | 'largestKl' | 'crossEntropy' | 'refused' | 'acted'> => ({
  meanKl: cost.meanKl,
  largestKl: cost.largestKl,
  crossEntropy: cost.crossEntropy,
  refused: { count: cost.refused, of: cost.prompts },
  acted: { count: cost.acted, of: cost.prompts },
});
