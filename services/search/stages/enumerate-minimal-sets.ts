/**
 * All minimal sets of one prompt among given candidates, within a budget. A single minimal set says that these features are one way to
 * break the refusal; the family says which features every way needs, how many separate ways there are, and how many separate defences.
 */

import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { enumerateSets, type SetFamily } from '../family/enumerate-sets.js';
import { largestDisjointFamily } from '../family/largest-disjoint-family.js';
import { type Mask, membersOf } from '../family/minimal-transversals.js';
import type { OffSet } from '../filter/filter.js';
import { EMPTY_BANK } from '../model/bank.js';
import type { EvaluationRecord } from '../model/evaluator.js';
import { assertDistinctFeatures, createFeatureBank } from '../model/feature-bank.js';
import type { Evaluation, Prompt, ScoreSpec } from '../model/model-port.js';
import type { RankedFeature } from '../model/sae-port.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { assertFiniteScore } from './candidate-growth.js';
import { orderCandidates } from './order-candidates.js';

export interface EnumerateRequest {
  readonly model: string;
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  /** The features that sets are made of, each once. */
  readonly candidates: readonly RankedFeature[];
  readonly positions: Positions;
  readonly maxEvaluations: number;
  readonly maxSets: number;
  readonly known: readonly EvaluationRecord[];
}

export interface FamilySet {
  /** By layer, then index. */
  readonly members: readonly FeatureId[];
  readonly score: number;
}

export interface FamilyMember extends FeatureId {
  readonly cosine: number;
  /** Largest activation on the clean prompt; 0 = dormant there. */
  readonly cleanActivation: number;
  /** How many of the sets it is in. */
  readonly inSets: number;
}

export interface MinimalSetFamily {
  readonly promptId: string;
  readonly outcome: 'found' | 'no-flip' | 'not-refused';
  readonly cleanScore: number;
  readonly allOffScore: number;
  /** Smallest first. */
  readonly sets: readonly FamilySet[];
  /** Minimal sets that go on refusing when all other candidates are off; `score` is the score then. */
  readonly sustaining: readonly FamilySet[];
  readonly members: readonly FamilyMember[];
  /** In every set. */
  readonly necessary: readonly FeatureId[];
  /** Most minimal sets of which no two share a member: separate ways to break the refusal. At least so many if not complete. */
  readonly disjointSets: number;
  /** Most sustaining sets of which no two share a member: separate defences, each of which must fall. At least so many if not complete. */
  readonly depthOfDefence: number;
  readonly complete: boolean;
  /** Sets seen to refuse although a smaller one flips: where this is not 0, sets may be missing. */
  readonly violations: number;
  readonly evaluations: number;
  readonly evaluationsReused: number;
}

export const ENUMERATE_DEFAULTS = { maxEvaluations: 2000, maxSets: 64 } as const;
const MOST_SETS = 1024;

export async function enumerateMinimalSets(
  context: SearchContext,
  request: EnumerateRequest,
): Promise<MinimalSetFamily> {
  assertRequest(request);
  const scoring = await openScoring(context, { ...request, prompts: [request.prompt] });
  const prompt = scoring.prompts[0]!;
  const { bank, edits } = await createFeatureBank(context, request.candidates, request.positions);
  const place = edits(request.candidates);
  const ask = (off: OffSet) => ({ prompt, bank, on: off.map((candidate) => place[candidate]!) });
  const everything = request.candidates.map((_, i) => i);
  const [clean, allOff] = await scoring.evaluator.evaluate([{ prompt, bank: EMPTY_BANK, on: [] }, ask(everything)]);
  for (const evaluation of [clean!, allOff!]) assertFiniteScore(evaluation, prompt);
  const found: Found = { clean: clean!, allOff: allOff!, family: NO_FAMILY, scores: [[], []], activations: [] };
  if (clean!.refusalScore <= 0 || allOff!.refusalScore >= 0) return describe(request, scoring, found);

  const order = await orderCandidates(context, prompt, request.candidates, request.positions);
  const score = async (sets: readonly OffSet[]) => {
    const evaluations = await scoring.evaluator.evaluate(sets.map(ask));
    for (const evaluation of evaluations) assertFiniteScore(evaluation, prompt);
    scoring.progress('enumerate', scoring.evaluator.counts().asked, 0);
    return evaluations;
  };
  const family = await enumerateSets(
    {
      ...order,
      size: everything.length,
      score,
      nameOf: (candidate) => bank.names[place[candidate]!]!,
      spent: () => scoring.evaluator.counts().asked,
    },
    request,
  );
  const scores = await Promise.all([
    score(family.sets.map(membersOf)),
    score(family.sustaining.map((kept) => everything.filter((candidate) => !membersOf(kept).includes(candidate)))),
  ]);
  const values = scores.map((part) => part.map(({ refusalScore }) => refusalScore)) as [number[], number[]];
  return describe(request, scoring, { ...found, family, scores: values, activations: order.cleanActivations });
}

function assertRequest({ candidates, maxEvaluations, maxSets }: EnumerateRequest): void {
  assertDistinctFeatures(candidates, 'The request');
  if (!(Number.isInteger(maxEvaluations) && maxEvaluations >= 1))
    throw fault('REQUEST_INVALID', `max_evaluations is ${maxEvaluations}; it must be a whole number of 1 or more.`);
  if (!(Number.isInteger(maxSets) && maxSets >= 1 && maxSets <= MOST_SETS))
    throw fault('REQUEST_INVALID', `max_sets is ${maxSets}; 1 to ${MOST_SETS} are allowed.`);
}

const NO_FAMILY: SetFamily = { sets: [], sustaining: [], complete: true, violations: 0 };

interface Found {
  readonly clean: Evaluation;
  readonly allOff: Evaluation;
  readonly family: SetFamily;
  /** Of the minimal and of the sustaining sets. */
  readonly scores: readonly [readonly number[], readonly number[]];
  readonly activations: readonly number[];
}

function describe({ prompt, candidates }: EnumerateRequest, scoring: Scoring, found: Found): MinimalSetFamily {
  const { clean, allOff, family, scores, activations } = found;
  const featuresOf = (mask: Mask): FeatureId[] =>
    membersOf(mask)
      .map((candidate) => ({ layer: candidates[candidate]!.layer, index: candidates[candidate]!.index }))
      .sort((a, b) => a.layer - b.layer || a.index - b.index);
  const withScores = (sets: readonly Mask[], own: readonly number[]) =>
    sets
      .map((set, i) => ({ members: featuresOf(set), score: own[i]! }))
      .sort((a, b) => a.members.length - b.members.length);
  const counts = scoring.evaluator.counts();
  return {
    promptId: prompt.id,
    outcome: clean.refusalScore <= 0 ? 'not-refused' : family.sets.length === 0 ? 'no-flip' : 'found',
    cleanScore: clean.refusalScore,
    allOffScore: allOff.refusalScore,
    sets: withScores(family.sets, scores[0]),
    sustaining: withScores(family.sustaining, scores[1]),
    members: membersOf(family.sets.reduce((union, set) => union | set, 0n)).map((candidate) => ({
      ...candidates[candidate]!,
      cleanActivation: activations[candidate]!,
      inSets: family.sets.filter((set) => membersOf(set).includes(candidate)).length,
    })),
    necessary: family.sets.length === 0 ? [] : featuresOf(family.sets.reduce((common, set) => common & set)),
    disjointSets: largestDisjointFamily(family.sets).sets.length,
    // All candidates left on refuse: there is one defence at least, whether it was found or not.
    depthOfDefence: Math.max(family.sets.length > 0 ? 1 : 0, largestDisjointFamily(family.sustaining).sets.length),
    complete: family.complete,
    violations: family.violations,
    evaluations: counts.asked,
    evaluationsReused: counts.reused,
  };
}
