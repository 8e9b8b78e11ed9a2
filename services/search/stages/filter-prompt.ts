/**
 * Stage 2 for one prompt: candidates grow until all of them off flips it, a filter prunes them, and a certificate is taken of what
 * is left, whatever the filter claims. The result says what was tried, what it cost and what each member does.
 */

import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type Certificate, certify } from '../filter/certificate.js';
import type { Filter, FilterTask, OffSet, PathStep } from '../filter/filter.js';
import type { EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import type { LayerProof, Prompt, ScoreSpec } from '../model/model-port.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { assertFiniteScore, type Growth, type GrowthStep, growCandidates } from './candidate-growth.js';
import { type CandidateOrder, orderCandidates } from './order-candidates.js';
import type { LayerDirection } from './rank-candidates.js';

export interface FilterPromptRequest {
  readonly model: string;
  readonly prompt: Prompt;
  readonly score: ScoreSpec;
  readonly directions: readonly LayerDirection[];
  /** Candidates a layer to try, ascending; empty takes DEFAULT_GROWTH. */
  readonly growth: readonly number[];
  readonly positions: Positions;
  readonly filter: Filter;
  readonly known: readonly EvaluationRecord[];
}

export interface SetMember extends FeatureId {
  readonly cosine: number;
  readonly cleanActivation: number;
  /** Score with the set off but for this member. */
  readonly restoredScore: number;
  /** Score with this member alone off. */
  readonly aloneScore: number;
}

export interface MinimalSet {
  readonly promptId: string;
  readonly outcome: 'found' | 'no-flip' | 'not-refused';
  /** By layer, then index. */
  readonly members: readonly SetMember[];
  readonly cleanScore: number;
  readonly allOffScore: number;
  readonly setScore: number;
  readonly candidatesPerLayer: number;
  /** All the K that were tried, the last one included. */
  readonly tried: readonly number[];
  readonly oneMinimal: boolean;
  readonly evaluations: number;
  readonly evaluationsReused: number;
  readonly path: readonly PathStep[];
  readonly proof: readonly LayerProof[];
}

export async function filterPrompt(context: SearchContext, request: FilterPromptRequest): Promise<MinimalSet> {
  const scoring = await openScoring(context, { ...request, prompts: [request.prompt] });
  const prompt = scoring.prompts[0]!;
  const growth = await growCandidates(context, scoring, prompt, request);
  const last = growth.steps.at(-1);
  if (growth.outcome !== 'flipped' || last === undefined) return describeFailure(scoring, prompt, growth);

  const order = await orderCandidates(context, prompt, last.candidates, request.positions);
  const path: PathStep[] = growth.steps.map(describeGrowth);
  const task = createTask(scoring, prompt, last, order, path);
  const set = [...(await request.filter(task))].sort((a, b) => a - b);
  const certificate = await certify(task, set);
  const alone = await task.score(set.map((member) => [member]));
  const [evaluation] = await scoring.evaluator.evaluate([{ prompt, bank: last.bank, on: set }]);
  const members = set.map((member, i) => ({
    ...last.candidates[member]!,
    cleanActivation: order.cleanActivations[member]!,
    restoredScore: certificate.restored[i]!.refusalScore,
    aloneScore: alone[i]!.refusalScore,
  }));
  return describeFound(scoring, prompt, growth, last, { members, certificate, path, proof: evaluation!.proof });
}

function createTask(
  scoring: Scoring,
  prompt: PreparedPrompt,
  { bank }: GrowthStep,
  order: CandidateOrder,
  path: PathStep[],
): FilterTask {
  return {
    size: bank.size,
    byEstimate: order.byEstimate,
    activeCount: order.activeCount,
    byCosine: order.byCosine,
    nameOf: (candidate) => bank.names[candidate]!,
    step: (step) => path.push(step),
    score: async (sets: readonly OffSet[]) => {
      const evaluations = await scoring.evaluator.evaluate(sets.map((on) => ({ prompt, bank, on })));
      for (const evaluation of evaluations) assertFiniteScore(evaluation, prompt);
      scoring.progress('filter', scoring.evaluator.counts().asked, 0, path.at(-1)?.action);
      return evaluations;
    },
  };
}

const describeGrowth = (step: GrowthStep): PathStep => ({
  featuresOff: step.bank.size,
  score: step.allOff.refusalScore,
  flipped: step.allOff.refusalScore < 0,
  action: `all off, ${step.candidatesPerLayer} a layer`,
});

function describeFailure(scoring: Scoring, prompt: PreparedPrompt, growth: Growth): MinimalSet {
  const last = growth.steps.at(-1);
  const cleanScore = growth.clean.refusalScore;
  const counts = scoring.evaluator.counts();
  return {
    promptId: prompt.prompt.id,
    outcome: growth.outcome === 'not-refused' ? 'not-refused' : 'no-flip',
    members: [],
    cleanScore,
    allOffScore: last?.allOff.refusalScore ?? cleanScore,
    setScore: cleanScore,
    candidatesPerLayer: last?.candidatesPerLayer ?? 0,
    tried: growth.steps.map((step) => step.candidatesPerLayer),
    oneMinimal: false,
    evaluations: counts.asked,
    evaluationsReused: counts.reused,
    path: growth.steps.map(describeGrowth),
    proof: last?.allOff.proof ?? [],
  };
}

interface FoundSet {
  readonly members: readonly SetMember[];
  readonly certificate: Certificate;
  readonly path: readonly PathStep[];
  readonly proof: readonly LayerProof[];
}

function describeFound(
  scoring: Scoring,
  prompt: PreparedPrompt,
  growth: Growth,
  last: GrowthStep,
  { members, certificate, path, proof }: FoundSet,
): MinimalSet {
  const counts = scoring.evaluator.counts();
  return {
    promptId: prompt.prompt.id,
    outcome: 'found',
    members,
    cleanScore: growth.clean.refusalScore,
    allOffScore: last.allOff.refusalScore,
    setScore: certificate.setScore.refusalScore,
    candidatesPerLayer: last.candidatesPerLayer,
    tried: growth.steps.map((step) => step.candidatesPerLayer),
    oneMinimal: certificate.oneMinimal,
    evaluations: counts.asked,
    evaluationsReused: counts.reused,
    path,
    proof,
  };
}
