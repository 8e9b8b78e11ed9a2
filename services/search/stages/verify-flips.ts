/** Flips verified by text: greedy answers under each prompt's set, judged. A low token score that still reads as a refusal shows here. */

import { fault } from '../../../shared/errors/fault.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { phraseJudge } from '../judge/answer-judge.js';
import type { Judgement, Verdict } from '../judge/judge.js';
import { throwIfAborted } from '../model/evaluator.js';
import { createFeatureBank } from '../model/feature-bank.js';
import type { LayerProof, Prompt } from '../model/model-port.js';
import type { SearchContext } from '../model/scoring.js';
import { countAgreement } from './agreement.js';
import {
  agreementByLength,
  countVerdicts,
  cutLengths,
  judgeCuts,
  type LengthAgreement,
  type ScoredCuts,
} from './agreement-by-length.js';

export interface FlipCase {
  readonly prompt: Prompt;
  readonly set: readonly FeatureId[];
  /** Refusal score under the set. */
  readonly score: number;
}

export interface VerifyFlipsRequest {
  readonly model: string;
  readonly cases: readonly FlipCase[];
  readonly positions: Positions;
  readonly maxNewTokens: number;
}

export interface VerifiedFlip {
  readonly promptId: string;
  readonly judgement: Judgement;
  /** What the edits did over prompt and answer; empty means that nothing acted. */
  readonly proof: readonly LayerProof[];
}

export interface FlipVerification {
  readonly flips: readonly VerifiedFlip[];
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly agreement: { readonly agree: number; readonly total: number };
  /** The same answers cut at smaller lengths; the last length is the whole. */
  readonly byLength: readonly LengthAgreement[];
}

export const DEFAULT_NEW_TOKENS = 48;
const CASES_A_REQUEST = 8;

export async function verifyFlips(context: SearchContext, request: VerifyFlipsRequest): Promise<FlipVerification> {
  if (request.cases.length === 0) throw fault('REQUEST_INVALID', 'The request has no cases; at least one is needed.');
  const facts = await context.model.describe(request.model, context.signal);
  if (request.maxNewTokens < 1 || request.maxNewTokens > facts.limits.maxNewTokens)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${request.maxNewTokens} new tokens were asked for; 1 to ${facts.limits.maxNewTokens} are allowed.`,
    );
  const features = request.cases.flatMap(({ set }) => set);
  const { bank, edits } = await createFeatureBank(context, features, request.positions);
  const lengths = cutLengths(request.maxNewTokens);
  const flips: VerifiedFlip[] = [];
  const scored: ScoredCuts[] = [];
  for (let start = 0; start < request.cases.length; start += CASES_A_REQUEST) {
    throwIfAborted(context.signal);
    const cases = request.cases.slice(start, start + CASES_A_REQUEST);
    const prompts = cases.map(({ prompt }) => prompt);
    const on = cases.map(({ set }) => edits(set));
    const generate = { prompts, edits: { bank, on }, maxNewTokens: request.maxNewTokens };
    const answers = await context.model.generate(generate, context.signal);
    const answered = answers.map((answer, i) => {
      const { input } = prompts[i]!;
      return { prompt: input.kind === 'text' ? input.text : undefined, answer };
    });
    const judged = await judgeCuts(answered, lengths, context.judge ?? phraseJudge, context.signal);
    for (const [i, cuts] of judged.entries()) {
      flips.push({ promptId: prompts[i]!.id, judgement: cuts.at(-1)!.judgement, proof: answers[i]!.proof });
      scored.push({ score: cases[i]!.score, cuts });
    }
    const counted = { evaluations: 0, evaluationsReused: 0 };
    context.onProgress({ stage: 'verify', done: flips.length, total: request.cases.length, ...counted });
  }
  const judged = flips.map(({ judgement }, i) => ({ score: request.cases[i]!.score, verdict: judgement.verdict }));
  return {
    flips,
    counts: countVerdicts(judged.map(({ verdict }) => verdict)),
    agreement: countAgreement(judged),
    byLength: agreementByLength(scored),
  };
}
