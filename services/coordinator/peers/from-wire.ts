/** The peers' messages as the plain facts of the report. */
import { type FitMetrics, FitModel, type FitResult } from '../../../proto/gen/refusalscope/v1/fm.js';
import { type Admission, Admission_Verdict, type SaeInfo } from '../../../proto/gen/refusalscope/v1/sae.js';
import {
  type ControlArm,
  type DirectionSearch,
  type DormantReport,
  FilterMethod,
  type Judgement,
  type MinimalSet,
  MinimalSet_Outcome,
  Verdict,
} from '../../../proto/gen/refusalscope/v1/search.js';
import type { Direction, Feature, LayerProof } from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import { formatFeature } from '../../../shared/tensors/feature-name.js';
import { decodeRow } from '../../../shared/tensors/matrix.js';
import type { FilterMethodName } from '../audit/audit-spec.js';
import type {
  ControlArmFacts,
  Directions,
  DormantFacts,
  FitFacts,
  FitModelName,
  JudgementFacts,
  MetricFacts,
  MinimalSetFacts,
  ProofFacts,
  SaeFacts,
  VerdictName,
} from '../report/report-type.js';
import type { DirectionVector } from '../stages/stage-results.js';

/** Absent sub-messages are a defect of the peer, and named as such. */
export const present = <Value>(value: Value | undefined, name: string): Value => {
  if (value === undefined) throw fault('INTERNAL', `A service left out ${name}.`);
  return value;
};

export const decodeFeature = (feature: Feature | undefined): string => formatFeature(present(feature, 'a feature'));

export const decodeProof = (proof: readonly LayerProof[]): ProofFacts[] =>
  proof.map(({ layer, deltaNorm, activeEdits, activePairs, residualNorm }) => ({
    layer,
    deltaNorm,
    activeEdits,
    activePairs,
    residualNorm,
  }));

const VERDICTS: Record<Verdict, VerdictName> = {
  [Verdict.VERDICT_COMPLIED]: 'complied',
  [Verdict.VERDICT_REFUSED]: 'refused',
  [Verdict.VERDICT_PARTIAL]: 'partial',
  [Verdict.VERDICT_DEGENERATE]: 'degenerate',
  [Verdict.VERDICT_JUDGE_FAILED]: 'judge failed',
  [Verdict.VERDICT_UNSPECIFIED]: 'judge failed',
  [Verdict.UNRECOGNIZED]: 'judge failed',
};

export const decodeJudgement = (judgement: Judgement, redact: boolean): JudgementFacts => ({
  verdict: VERDICTS[judgement.verdict],
  answerSha256: judgement.answerSha256,
  firstWords: redact ? '' : judgement.firstWords,
  answerTokens: judgement.answerTokens,
  rule: judgement.rule,
});

const METHODS: Partial<Record<FilterMethod, FilterMethodName>> = {
  [FilterMethod.FILTER_METHOD_GREEDY]: 'greedy',
  [FilterMethod.FILTER_METHOD_PAPER]: 'paper',
};

const OUTCOMES: Partial<Record<MinimalSet_Outcome, MinimalSetFacts['outcome']>> = {
  [MinimalSet_Outcome.OUTCOME_FOUND]: 'found',
  [MinimalSet_Outcome.OUTCOME_NO_FLIP]: 'no flip',
  [MinimalSet_Outcome.OUTCOME_NOT_REFUSED]: 'not refused',
};

export const decodeOutcome = (outcome: MinimalSet_Outcome): MinimalSetFacts['outcome'] =>
  present(OUTCOMES[outcome], 'the outcome of a minimal set');

export const decodeMinimalSet = (set: MinimalSet, promptId: string, category: string): MinimalSetFacts => ({
  promptId,
  category,
  outcome: decodeOutcome(set.outcome),
  method: METHODS[set.method] ?? 'group',
  members: set.members.map((member) => ({
    feature: decodeFeature(member.feature),
    cosine: member.cosine,
    cleanActivation: member.cleanActivation,
    restoredScore: member.restoredScore,
    aloneScore: member.aloneScore,
  })),
  cleanScore: set.cleanScore,
  allOffScore: set.allOffScore,
  setScore: set.outcome === MinimalSet_Outcome.OUTCOME_FOUND ? set.setScore : null,
  candidatesPerLayer: set.candidatesPerLayer,
  tried: [...set.tried],
  oneMinimal: set.oneMinimal,
  evaluations: set.evaluations,
  path: set.path.map(({ featuresOff, score, flipped, action }) => ({ featuresOff, score, flipped, action })),
  proof: decodeProof(set.proof),
});

export const decodeDormant = (report: DormantReport, promptId: string): DormantFacts => ({
  promptId,
  dormantMembers: report.dormantMembers.map(formatFeature),
  woken: report.woken.map((woken) => ({
    feature: decodeFeature(woken.feature),
    activation: woken.activation,
    position: woken.position,
    positionKind: woken.positionKind,
    setScore: woken.setScore,
    setAndFeatureScore: woken.setAndFeatureScore,
    intactEffect: woken.intactEffect,
    conditionalEffect: woken.conditionalEffect,
  })),
  tested: { count: report.tested, of: report.wokenTotal },
});

export const decodeControlArm = (arm: ControlArm): ControlArmFacts => ({
  flips: { count: arm.flips, of: arm.total },
  meanScoreChange: arm.meanScoreChange,
  didNotAct: arm.didNotAct,
});

export const decodeDirection = (wire: Direction | undefined): DirectionVector => {
  const direction = present(wire, 'a direction');
  const values = decodeRow(direction.vector, { name: `direction of layer ${direction.layer}` });
  const { buffer, byteOffset, byteLength } = values;
  return {
    layer: direction.layer,
    position: direction.position,
    rawNorm: direction.rawNorm,
    vector: Buffer.from(buffer, byteOffset, byteLength).toString('base64'),
  };
};

/** JSON has no NaN: a score that was not measured is null. */
const finiteOrNull = (value: number): number | null => (Number.isFinite(value) ? value : null);

export const decodeDirections = (found: DirectionSearch): Directions => ({
  tried: found.directions.map(({ direction, bypassScore, induceScore, kl, rejected }) => ({
    layer: present(direction, 'a direction').layer,
    position: present(direction, 'a direction').position,
    bypassScore: finiteOrNull(bypassScore),
    induceScore: finiteOrNull(induceScore),
    kl: finiteOrNull(kl),
    rawNorm: present(direction, 'a direction').rawNorm,
    rejected: [...rejected],
  })),
  selected: found.selected ?? null,
  bestByLayer: [...found.bestByLayer],
  harmfulFit: found.harmfulFit,
  harmlessFit: found.harmlessFit,
  harmfulHeldOut: found.harmfulHeldOut,
  harmlessHeldOut: found.harmlessHeldOut,
  dropped: found.dropped,
});

const ADMISSIONS: Partial<Record<Admission_Verdict, SaeFacts['admission']['verdict']>> = {
  [Admission_Verdict.VERDICT_VERIFIED]: 'verified',
  [Admission_Verdict.VERDICT_UNVERIFIED]: 'unverified',
};

export const decodeAdmission = (admission: Admission | undefined): SaeFacts['admission'] => ({
  verdict: (admission && ADMISSIONS[admission.verdict]) ?? 'not measured',
  fvu: admission?.fvu ?? 0,
  l0: admission?.l0 ?? 0,
  deadShare: admission?.deadShare ?? 0,
  rows: admission?.rows ?? 0,
  publishedL0: admission === undefined || admission.publishedL0 === 0 ? null : admission.publishedL0,
  reason: admission?.reason ?? '',
});

export const decodeSae = (info: SaeInfo, searched: boolean): SaeFacts => ({
  layer: info.layer,
  dSae: info.dSae,
  architecture: info.architecture,
  format: info.format,
  sha256: info.sha256,
  editsExact: info.editsExact,
  editsNote: info.editsNote,
  searched,
  admission: decodeAdmission(info.admission),
});

const decodeMetrics = (metrics: FitMetrics | undefined): MetricFacts => ({
  r2: metrics?.r2 ?? null,
  rmse: metrics?.rmse ?? null,
  accuracy: metrics?.accuracy ?? null,
  logLoss: metrics?.logLoss ?? null,
  signAgreement: metrics?.signAgreement ?? null,
  validationLoss: metrics?.validationLoss ?? null,
});

const FIT_MODELS: Readonly<Partial<Record<FitModel, FitModelName>>> = {
  [FitModel.FIT_MODEL_LINEAR]: 'linear',
  [FitModel.FIT_MODEL_FACTORIZATION_MACHINE]: 'factorizationMachine',
  [FitModel.FIT_MODEL_ALL_PAIRS]: 'allPairs',
  [FitModel.FIT_MODEL_BOOSTED_TREES]: 'boostedTrees',
};

/** `names` are those of the request: pairs come back as indices into them. */
export const decodeFit = (fit: FitResult, names: readonly string[]): FitFacts => {
  const machine = present(fit.machine, 'the factorization machine');
  return {
    rank: present(machine.factors, 'the factors').cols,
    trainRows: fit.trainRows,
    validationRows: fit.validationRows,
    testRows: fit.testRows,
    epochs: fit.epochsRun,
    factorizationMachine: decodeMetrics(fit.factorizationMachineMetrics),
    linear: decodeMetrics(fit.linearMetrics),
    allPairs: fit.allPairsMetrics === undefined ? null : decodeMetrics(fit.allPairsMetrics),
    boostedTrees: fit.boostedTreesMetrics === undefined ? null : decodeMetrics(fit.boostedTreesMetrics),
    chosen: present(FIT_MODELS[fit.chosen], 'the chosen model'),
    pairsFrom: present(FIT_MODELS[fit.pairsFrom], 'the model of the pairs'),
    intercept: machine.intercept,
    mainEffects: [...fit.mainEffects],
    pairs: fit.interactions.map(({ first, second, effect }) => ({
      first: present(names[first], 'the name of a feature'),
      second: present(names[second], 'the name of a feature'),
      effect,
    })),
  };
};
