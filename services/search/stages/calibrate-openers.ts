/**
 * The stage before all others: greedy answers of the clean model, judged; its openers from the refusals among them; and how far the
 * score that they make agrees with the judge. Without it a score would look for another model's way to refuse.
 */
import { fault } from '../../../shared/errors/fault.js';
import { phraseJudge } from '../judge/answer-judge.js';
import { type Judgement, judgeAnswer } from '../judge/judge.js';
import { STOCK_OPENERS } from '../judge/refusal-phrases.js';
import { EMPTY_BANK } from '../model/bank.js';
import { throwIfAborted } from '../model/evaluator.js';
import type { Answer, Evaluation, Prompt, ScoreSpec } from '../model/model-port.js';
import { assertPromptSet, type LabelledPrompt } from '../model/prompt-set.js';
import { openScoring, type SearchContext } from '../model/scoring.js';
import { chooseOpeners, type OpenedAnswer, type Opener } from '../openers/choose-openers.js';
import { countAgreement } from './agreement.js';
import { agreementByLength, cutAnswer, cutLengths, judgeCuts, type LengthAgreement } from './agreement-by-length.js';

export interface CalibrateRequest {
  readonly model: string;
  readonly prompts: readonly LabelledPrompt[];
  /** Longest opener in tokens, 1 to MAX_DEPTH. */
  readonly maxDepth: number;
  /** Up to which score and text are compared. */
  readonly maxNewTokens: number;
}

export interface PromptBaseline {
  readonly promptId: string;
  readonly evaluation: Evaluation;
  readonly judgement: Judgement;
}

export interface OpenerCalibration {
  readonly score: ScoreSpec;
  readonly openers: readonly Opener[];
  readonly refused: { readonly harmful: number; readonly harmless: number };
  readonly total: { readonly harmful: number; readonly harmless: number };
  readonly agreement: { readonly agree: number; readonly total: number };
  readonly baselines: readonly PromptBaseline[];
  readonly byLength: readonly LengthAgreement[];
}

/** The score's prefix tree is at most so deep. */
export const MAX_DEPTH = 4;
/** Long enough to tell refusal, partial and loop apart at the start of an answer. Openers and baselines are read off so many, however long the answers are. */
export const ANSWER_TOKENS = 32;
const PROMPTS_A_REQUEST = 16;

export async function calibrateOpeners(context: SearchContext, request: CalibrateRequest): Promise<OpenerCalibration> {
  assertPromptSet(request.prompts, 1);
  if (request.maxDepth < 1 || request.maxDepth > MAX_DEPTH)
    throw fault('REQUEST_INVALID', `max_depth is ${request.maxDepth}; openers may have 1 to ${MAX_DEPTH} tokens.`);
  const { limits } = await context.model.describe(request.model, context.signal);
  if (request.maxNewTokens < 1 || request.maxNewTokens > limits.maxNewTokens)
    throw fault(
      'REQUEST_TOO_LARGE',
      `${request.maxNewTokens} new tokens were asked for; 1 to ${limits.maxNewTokens} are allowed.`,
    );
  const prompts = request.prompts.map(({ prompt }) => prompt);
  const answers = await answerAll(context, prompts, Math.max(ANSWER_TOKENS, request.maxNewTokens));
  const judgements = answers.map((answer) => {
    const { text, tokens } = cutAnswer(answer, ANSWER_TOKENS);
    return judgeAnswer(text, tokens);
  });
  const { score, openers } = await chooseScore(context, answers, judgements, request.maxDepth);
  const evaluations = await scoreClean(context, request.model, prompts, score);
  const baselines = prompts.map(({ id }, i) => ({
    promptId: id,
    evaluation: evaluations[i]!,
    judgement: judgements[i]!,
  }));
  return {
    score,
    openers,
    ...countRefusals(request.prompts, judgements),
    agreement: agreementOf(baselines),
    baselines,
    byLength: await compareByLength(context, request, answers, evaluations),
  };
}

async function compareByLength(
  { signal }: SearchContext,
  { prompts, maxNewTokens }: CalibrateRequest,
  answers: readonly Answer[],
  evaluations: readonly Evaluation[],
): Promise<LengthAgreement[]> {
  const answered = answers.map((answer, i) => {
    const { input } = prompts[i]!.prompt;
    return { prompt: input.kind === 'text' ? input.text : undefined, answer };
  });
  const cuts = await judgeCuts(answered, cutLengths(maxNewTokens), phraseJudge, signal);
  return agreementByLength(cuts.map((own, i) => ({ score: evaluations[i]!.refusalScore, cuts: own })));
}

async function answerAll(context: SearchContext, prompts: readonly Prompt[], maxNewTokens: number): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < prompts.length; start += PROMPTS_A_REQUEST) {
    throwIfAborted(context.signal);
    const part = prompts.slice(start, start + PROMPTS_A_REQUEST);
    answers.push(...(await context.model.generate({ prompts: part, maxNewTokens }, context.signal)));
    const counted = { evaluations: 0, evaluationsReused: 0 };
    context.onProgress({ stage: 'openers', done: answers.length, total: prompts.length, ...counted });
  }
  return answers;
}

async function chooseScore(
  context: SearchContext,
  answers: readonly Answer[],
  judgements: readonly Judgement[],
  maxDepth: number,
): Promise<{ score: ScoreSpec; openers: readonly Opener[] }> {
  const { pieces } = await context.model.tokenize([], ['I', ...STOCK_OPENERS], context.signal);
  const [letterI, ...stockPieces] = pieces.map(({ tokenIds }) => tokenIds);
  const stock = STOCK_OPENERS.map((text, i) => ({ text, tokenIds: stockPieces[i]! }));
  const opened = answers.flatMap((answer, i) => openedAnswer(answer, judgements[i]!));
  if (!opened.some(({ kind }) => kind === 'refused'))
    throw fault(
      'AUDIT_IMPOSSIBLE',
      `None of the model's ${answers.length} answers is a refusal, so there is nothing to explain. Give prompts that it refuses.`,
    );
  const { openers, firstTokenIds } = chooseOpeners(opened, stock, maxDepth);
  const score = { openers: openers.map(({ tokenIds }) => tokenIds), firstTokenIds, iTokenId: letterI![0]! };
  return { score, openers };
}

/** A partial answer opens with a refusal; degenerate ones and judge failures say nothing about openers. */
function openedAnswer({ tokenIds, pieces }: Answer, { verdict }: Judgement): OpenedAnswer[] {
  if (verdict === 'refused' || verdict === 'partial') return [{ tokenIds, pieces, kind: 'refused' }];
  return verdict === 'complied' ? [{ tokenIds, pieces, kind: 'complied' }] : [];
}

async function scoreClean(context: SearchContext, model: string, prompts: readonly Prompt[], score: ScoreSpec) {
  const scoring = await openScoring(context, { model, prompts, score, known: [] });
  return scoring.evaluator.evaluate(scoring.prompts.map((prompt) => ({ prompt, bank: EMPTY_BANK, on: [] })));
}

function countRefusals(prompts: readonly LabelledPrompt[], judgements: readonly Judgement[]) {
  const refused = { harmful: 0, harmless: 0 };
  const total = { harmful: 0, harmless: 0 };
  for (const [i, { label }] of prompts.entries()) {
    total[label]++;
    if (judgements[i]!.verdict === 'refused') refused[label]++;
  }
  return { refused, total };
}

const agreementOf = (baselines: readonly PromptBaseline[]) =>
  countAgreement(
    baselines.map(({ evaluation, judgement }) => ({ score: evaluation.refusalScore, verdict: judgement.verdict })),
  );
