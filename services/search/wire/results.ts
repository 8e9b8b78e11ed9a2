/** Results of the search service, from the domain to the wire. */
import * as wire from '../../../proto/gen/refusalscope/v1/search.js';
import type { Progress } from '../../../proto/gen/refusalscope/v1/types.js';
import type { ScoredDirection } from '../directions/score-directions.js';
import type { Judgement, Verdict } from '../judge/judge.js';
import type { Evaluation } from '../model/model-port.js';
import type { StageProgress } from '../model/scoring.js';
import type { LengthAgreement } from '../stages/agreement-by-length.js';
import type { OpenerCalibration } from '../stages/calibrate-openers.js';
import type { MinimalSet } from '../stages/filter-prompt.js';
import type { DirectionSearch } from '../stages/find-directions.js';
import type { DormantReport } from '../stages/find-dormant.js';
import type { TwoByTwo } from '../stages/measure-interactions.js';
import type { LayerFlips } from '../stages/profile-depth.js';
import type { Controls } from '../stages/run-controls.js';
import type { FlipVerification } from '../stages/verify-flips.js';
import {
  encodeDirection,
  encodeFeature,
  encodeProof,
  encodeScore,
  FILTER_METHODS,
  type FilterName,
} from './shared-types.js';

export const encodeProgress = ({ detail = '', ...progress }: StageProgress): Progress => ({ ...progress, detail });

const VERDICTS: Readonly<Record<Verdict, wire.Verdict>> = {
  complied: wire.Verdict.VERDICT_COMPLIED,
  refused: wire.Verdict.VERDICT_REFUSED,
  partial: wire.Verdict.VERDICT_PARTIAL,
  degenerate: wire.Verdict.VERDICT_DEGENERATE,
  'judge-failed': wire.Verdict.VERDICT_JUDGE_FAILED,
};

const encodeJudgement = (judgement: Judgement): wire.Judgement => ({
  ...judgement,
  verdict: VERDICTS[judgement.verdict],
});

const encodeLengthAgreement = (length: LengthAgreement): wire.LengthAgreement => ({
  tokens: length.tokens,
  complied: length.counts.complied,
  refused: length.counts.refused,
  partial: length.counts.partial,
  degenerate: length.counts.degenerate,
  judgeFailed: length.counts['judge-failed'],
  ended: length.ended,
  agree: length.agreement.agree,
  agreeTotal: length.agreement.total,
  delayedRefusals: length.delayed.count,
  compliedBefore: length.delayed.of,
  withdrawnRefusals: length.withdrawn.count,
  refusedBefore: length.withdrawn.of,
});

export const encodeCalibration = (result: OpenerCalibration): wire.OpenerCalibration => ({
  score: encodeScore(result.score),
  openerTexts: result.openers.map(({ text }) => text),
  harmfulRefused: result.refused.harmful,
  harmfulTotal: result.total.harmful,
  harmlessRefused: result.refused.harmless,
  harmlessTotal: result.total.harmless,
  scoreJudgeAgreement: result.agreement.total === 0 ? 0 : result.agreement.agree / result.agreement.total,
  agreementTotal: result.agreement.total,
  baselines: result.baselines.map(({ promptId, evaluation, judgement }) => ({
    promptId,
    refusalScore: evaluation.refusalScore,
    firstTokenScore: evaluation.firstTokenScore,
    pI: evaluation.pI,
    judgement: encodeJudgement(judgement),
  })),
  byLength: result.byLength.map(encodeLengthAgreement),
});

const encodeScoredDirection = (scored: ScoredDirection): wire.ScoredDirection => ({
  direction: encodeDirection(scored.direction),
  bypassScore: scored.bypass,
  induceScore: scored.induce,
  kl: scored.kl,
  rejected: [...scored.rejected],
});

export const encodeDirectionSearch = (result: DirectionSearch): wire.DirectionSearch => ({
  directions: result.directions.map(encodeScoredDirection),
  selected: result.selected,
  bestByLayer: [...result.bestByLayer],
  harmfulFit: result.fit.harmful,
  harmlessFit: result.fit.harmless,
  harmfulHeldOut: result.heldOut.harmful,
  harmlessHeldOut: result.heldOut.harmless,
  dropped: result.dropped,
});

export const encodeDepthProfile = (layers: readonly LayerFlips[]): wire.DepthProfile => ({
  layers: layers.map(({ layer, alone, upTo, from, total }) => ({
    layer,
    flipsAlone: alone.flips,
    flipsUpTo: upTo.flips,
    flipsFrom: from.flips,
    total,
    meanScoreAlone: alone.meanScore,
    meanScoreUpTo: upTo.meanScore,
    meanScoreFrom: from.meanScore,
  })),
});

export const OUTCOMES: Readonly<Record<MinimalSet['outcome'], wire.MinimalSet_Outcome>> = {
  found: wire.MinimalSet_Outcome.OUTCOME_FOUND,
  'no-flip': wire.MinimalSet_Outcome.OUTCOME_NO_FLIP,
  'not-refused': wire.MinimalSet_Outcome.OUTCOME_NOT_REFUSED,
};

export const encodeMinimalSet = (set: MinimalSet, filter: FilterName): wire.MinimalSet => ({
  promptId: set.promptId,
  outcome: OUTCOMES[set.outcome],
  members: set.members.map(({ layer, index, ...member }) => ({ feature: { layer, index }, ...member })),
  cleanScore: set.cleanScore,
  allOffScore: set.allOffScore,
  setScore: set.setScore,
  candidatesPerLayer: set.candidatesPerLayer,
  tried: [...set.tried],
  oneMinimal: set.oneMinimal,
  evaluations: set.evaluations,
  evaluationsReused: set.evaluationsReused,
  path: set.path.map((step) => ({ ...step })),
  method: FILTER_METHODS[filter],
  proof: encodeProof(set.proof),
});

export const encodeDormantReport = (report: DormantReport): wire.DormantReport => ({
  promptId: report.promptId,
  dormantMembers: report.dormantMembers.map(encodeFeature),
  woken: report.woken.map(({ layer, index, ...woken }) => ({ feature: { layer, index }, ...woken })),
  wokenTotal: report.wokenTotal,
  tested: report.tested,
});

export const encodeMaskScores = (evaluations: readonly Evaluation[]): wire.MaskScores => ({
  refusalScores: evaluations.map(({ refusalScore }) => refusalScore),
  pI: evaluations.map(({ pI }) => pI),
});

export const encodeInteractions = (pairs: readonly TwoByTwo[]): wire.InteractionMeasurements => ({
  pairs: pairs.map(({ pair: { first, second }, ...scores }) => ({
    pair: { first: encodeFeature(first), second: encodeFeature(second) },
    ...scores,
  })),
});

export const encodeVerification = ({
  flips,
  counts,
  agreement,
  byLength,
}: FlipVerification): wire.FlipVerification => ({
  flips: flips.map(({ promptId, judgement, proof }) => ({
    promptId,
    judgement: encodeJudgement(judgement),
    proof: encodeProof(proof),
  })),
  complied: counts.complied,
  refused: counts.refused,
  partial: counts.partial,
  degenerate: counts.degenerate,
  judgeFailed: counts['judge-failed'],
  total: flips.length,
  agree: agreement.agree,
  agreeTotal: agreement.total,
  byLength: byLength.map(encodeLengthAgreement),
});

export const encodeControls = (controls: Controls): wire.Controls => ({
  randomFeatures: { ...controls.randomFeatures },
  randomActiveFeatures: { ...controls.randomActiveFeatures },
  randomDirections: { ...controls.randomDirections },
  directionAblation: controls.directionAblation && { ...controls.directionAblation },
});
