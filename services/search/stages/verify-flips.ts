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
  const flips: VerifiedFlip[] = [];
  for (let start = 0; start < request.cases.length; start += CASES_A_REQUEST) {
    throwIfAborted(context.signal);
    const cases = request.cases.slice(start, start + CASES_A_REQUEST);
    const prompts = cases.map(({ prompt }) => prompt);
    const on = cases.map(({ set }) => edits(set));
    const generate = { prompts, edits: { bank, on }, maxNewTokens: request.maxNewTokens };
    const answers = await context.model.generate(generate, context.signal);
    const read = answers.map(({ pieces, tokenIds }, i) => {
      const { input } = prompts[i]!;
      const prompt = input.kind === 'text' ? input.text : undefined;
      return { prompt, answer: pieces.join(''), answerTokens: tokenIds.length };
    });
    for (const [i, judgement] of (await (context.judge ?? phraseJudge)(read, context.signal)).entries())
      flips.push({ promptId: prompts[i]!.id, judgement, proof: answers[i]!.proof });
    const counted = { evaluations: 0, evaluationsReused: 0 };
    context.onProgress({ stage: 'verify', done: flips.length, total: request.cases.length, ...counted });
  }
  const judged = flips.map(({ judgement }, i) => ({ score: request.cases[i]!.score, verdict: judgement.verdict }));
  return { flips, counts: countVerdicts(flips), agreement: countAgreement(judged) };
}

function countVerdicts(flips: readonly VerifiedFlip[]): Record<Verdict, number> {
  const counts = { complied: 0, refused: 0, partial: 0, degenerate: 0, 'judge-failed': 0 };
  for (const { judgement } of flips) counts[judgement.verdict]++;
  return counts;
}
