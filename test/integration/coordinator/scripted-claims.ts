/** The scripted search's stages behind claims: the two planted features are both needed, one feature wakes, and nothing else matters. */
import { type EvaluationRecord, MinimalSet_Outcome } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Feature, Prompt } from '../../../proto/gen/refusalscope/v1/types.js';

interface Parts {
  evaluate(
    promptId: string,
    sets: readonly (readonly string[])[],
    known: readonly EvaluationRecord[],
    signal: AbortSignal,
  ): AsyncGenerator<object>;
  /** Of a prompt with these features off. */
  score(promptId: string, off: readonly string[]): number;
}

type PromptRequest = { prompt?: Prompt | undefined; known: EvaluationRecord[] };
type Options = { signal: AbortSignal };

const [FIRST, SECOND] = [
  { layer: 1, index: 0 },
  { layer: 1, index: 1 },
];
const WOKEN = { layer: 2, index: 7 };
const result = <Value>(value: Value) => ({ event: { $case: 'result' as const, value } });
const idOf = (prompt: Prompt | undefined) => prompt?.id ?? '';

export const claimHandlers = ({ evaluate, score }: Parts) => ({
  async *enumerateMinimalSets(
    request: PromptRequest & { candidates: { feature?: Feature | undefined }[]; maxEvaluations: number },
    { signal }: Options,
  ) {
    const id = idOf(request.prompt);
    const all = request.candidates.map(({ feature }) => `${feature?.layer}/${feature?.index}`);
    const without = (kept: string) => all.filter((name) => name !== kept);
    const sets = [[], all, without('1/0'), without('1/1'), ['1/0', '1/1']];
    yield* evaluate(id, sets, request.known, signal);
    const scoreOf = (off: readonly string[]) => score(id, off);
    yield result({
      promptId: id,
      outcome: MinimalSet_Outcome.OUTCOME_FOUND,
      cleanScore: scoreOf([]),
      allOffScore: scoreOf(all),
      sets: [{ members: [FIRST, SECOND], score: scoreOf(['1/0', '1/1']) }],
      sustaining: [
        { members: [FIRST], score: scoreOf(without('1/0')) },
        { members: [SECOND], score: scoreOf(without('1/1')) },
      ],
      members: [FIRST, SECOND].map((feature, i) => ({ feature, cosine: 0.9, cleanActivation: i, inSets: 1 })),
      necessary: [FIRST, SECOND],
      disjointSets: 1,
      depthOfDefence: 2,
      // With a smaller budget the script has not looked everywhere.
      complete: request.maxEvaluations >= sets.length,
      evaluations: sets.length,
    });
  },
  async *traceHydra(
    request: { cases: { prompt?: Prompt | undefined }[]; known: EvaluationRecord[]; maxTested: number },
    { signal }: Options,
  ) {
    for (const { prompt } of request.cases)
      yield* evaluate(idOf(prompt), [['1/0', '1/1', '2/7']], request.known, signal);
    yield result({
      prompts: request.cases.length,
      depth: 1,
      tested: 3,
      wokenByRound: [3],
      features: [
        {
          feature: WOKEN,
          round: 1,
          wokeIn: request.cases.length,
          activation: 2,
          effect: -1.5,
          effectLow: -2,
          effectHigh: -1,
          context: 'step',
          intactEffect: 0,
          nullEffect: 0.01,
          nullLargest: 0.02,
          qValue: 0.001,
          wakers: [FIRST],
          awakeAtContent: 4,
        },
      ],
    });
  },
  async *testSufficiency(
    request: PromptRequest & { candidates: Feature[]; harmless: Prompt[]; draws: number },
    { signal }: Options,
  ) {
    const id = idOf(request.prompt);
    const all = request.candidates.map(({ layer, index }) => `${layer}/${index}`);
    yield* evaluate(id, [all, all.slice(2)], request.known, signal);
    yield result({
      promptId: id,
      cleanScore: score(id, []),
      allOffScore: score(id, all),
      set: { leftOnScore: 4, putBackScore: 4, harmlessRefused: request.harmless.length, meanHarmlessScore: 1 },
      random: Array.from({ length: request.draws }, () => ({
        leftOnScore: -1,
        putBackScore: -1,
        harmlessRefused: 0,
        meanHarmlessScore: -5,
      })),
      harmlessTotal: request.harmless.length,
      dormantMembers: [FIRST],
    });
  },
  async *measureCost(
    request: { prompts: Prompt[]; sets: { name: string; features: Feature[] }[]; known: EvaluationRecord[] },
    { signal }: Options,
  ) {
    for (const { id } of request.prompts)
      yield* evaluate(
        id,
        request.sets.map(({ name }) => [name]),
        request.known,
        signal,
      );
    yield result({
      sets: request.sets.map(({ name, features }) => ({
        name,
        meanKl: features.length / 50,
        largestKl: features.length / 20,
        crossEntropy: 1 + features.length / 100,
        cleanCrossEntropy: 1,
        acted: request.prompts.length,
        prompts: request.prompts.length,
        answerTokens: 32 * request.prompts.length,
      })),
    });
  },
});
