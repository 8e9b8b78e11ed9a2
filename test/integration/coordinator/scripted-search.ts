/**
 * Search as the tests of the coordinator see it: answers from a planted function of (prompt, features off), one evaluation after another with a
 * delay, and counts every evaluation that it was not told as known.
 */
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EvaluationRecord, MinimalSet_Outcome } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Feature, Prompt } from '../../../proto/gen/refusalscope/v1/types.js';
import { decodeMask } from '../../../shared/tensors/mask-bits.js';
import { encodeRow } from '../../../shared/tensors/matrix.js';
import { claimHandlers } from './scripted-claims.js';

export const LAYERS = [1, 2, 3];
const SCORE = { openers: [{ ids: [7, 8] }], firstTokenIds: [7], iTokenId: 9 };

export interface PeerScript {
  /** Milliseconds an evaluation takes. */
  delayMs: number;
  weightsSha256: string;
  /** Which prompts are refused; default the harmful ones of the fixture (h0, h1, ...). */
  refuses: (promptId: string) => boolean;
  /** Called before each evaluation that is really run. */
  onEvaluation?: (promptId: string) => void;
}

/** The planted truth: features 0 and 1 of layer 1 carry the refusal of every prompt; both must be off. */
const plantedScore = (clean: number, off: readonly string[]): number =>
  clean - (off.includes('1/0') ? 3 : 0) - (off.includes('1/1') ? 3 : 0) - 0.01 * off.length;

const names = (features: readonly Feature[]) => features.map(({ layer, index }) => `${layer}/${index}`);
const idOf = (prompt: Prompt | undefined) => prompt?.id ?? '';
const result = <Value>(value: Value) => ({ event: { $case: 'result' as const, value } });

export const searchHandlers = (script: PeerScript, runs: Map<string, number>) => {
  const cleanScore = (id: string) => (script.refuses(id) ? 5 : -5);
  /** Yields the evaluations of a call one by one; those known are not run. */
  async function* evaluate(
    promptId: string,
    sets: readonly (readonly string[])[],
    known: readonly EvaluationRecord[],
    signal: AbortSignal,
  ) {
    const knownKeys = new Set(known.map((record) => record.key.toString('hex')));
    let reused = 0;
    for (const [i, off] of sets.entries()) {
      const key = createHash('sha256')
        .update(JSON.stringify([promptId, off]))
        .digest();
      const name = key.toString('hex');
      if (knownKeys.has(name)) reused += 1;
      else {
        script.onEvaluation?.(promptId);
        await sleep(script.delayMs, undefined, { signal });
        runs.set(name, (runs.get(name) ?? 0) + 1);
        knownKeys.add(name);
        const refusalScore = plantedScore(cleanScore(promptId), off);
        yield { event: { $case: 'evaluation' as const, value: { key, refusalScore, acted: off.length > 0 } } };
      }
      const value = { stage: 'x', done: i + 1, total: sets.length, evaluations: i + 1, evaluationsReused: reused };
      yield { event: { $case: 'progress' as const, value } };
    }
  }
  return {
    async *calibrateOpeners(request: { prompts: { prompt?: Prompt | undefined; label: number }[] }) {
      const refuses = ({ prompt }: (typeof request.prompts)[number]) => script.refuses(idOf(prompt));
      const [harmful, harmless] = [1, 2].map((wanted) => request.prompts.filter(({ label }) => label === wanted));
      yield result({
        score: SCORE,
        openerTexts: ["I'm sorry"],
        harmfulRefused: harmful!.filter(refuses).length,
        harmfulTotal: harmful!.length,
        harmlessRefused: harmless!.filter(refuses).length,
        harmlessTotal: harmless!.length,
        scoreJudgeAgreement: 1,
        agreementTotal: request.prompts.length,
        baselines: request.prompts.map((one) => ({
          promptId: idOf(one.prompt),
          refusalScore: cleanScore(idOf(one.prompt)),
          judgement: { verdict: refuses(one) ? 2 : 1, firstWords: 'I am' },
        })),
        byLength: [
          { tokens: 8, refused: harmful!.filter(refuses).length, agree: 1, agreeTotal: request.prompts.length },
        ],
      });
    },
    async *findDirections() {
      const directions = [1, 2, 3, 4].map((layer) => ({
        direction: { layer, position: -1, vector: encodeRow([1, 0, 0, 0]), rawNorm: 2 },
        bypassScore: -layer,
        induceScore: 1,
        kl: 0.01,
      }));
      yield result({ directions, selected: 1, bestByLayer: [0, 1, 2, 3], harmfulFit: 3, harmlessFit: 3 });
    },
    rankCandidates: async (request: { directions: { layer: number }[]; countPerLayer: number }) => ({
      candidates: request.directions.flatMap(({ layer }) =>
        Array.from({ length: request.countPerLayer }, (_, index) => ({
          feature: { layer, index },
          cosine: 0.9 - index / 100,
        })),
      ),
    }),
    async *profileDepth(
      request: { prompts: Prompt[]; candidates: Feature[]; known: EvaluationRecord[] },
      { signal }: { signal: AbortSignal },
    ) {
      const id = idOf(request.prompts[0]);
      const all = names(request.candidates);
      const sets = LAYERS.map((layer) => all.filter((name) => name.startsWith(`${layer}/`)));
      yield* evaluate(id, sets, request.known, signal);
      const layers = LAYERS.map((layer, i) => {
        const score = plantedScore(cleanScore(id), sets[i] ?? []);
        return { layer, total: 1, flipsAlone: score < 0 ? 1 : 0, meanScoreAlone: score };
      });
      yield result({ layers });
    },
    async *filterPrompt(
      request: { prompt?: Prompt | undefined; growth: number[]; known: EvaluationRecord[] },
      { signal }: { signal: AbortSignal },
    ) {
      const id = idOf(request.prompt);
      const all = Array.from({ length: request.growth[0] ?? 0 }, (_, index) => `1/${index}`);
      const sets = all.map((_, i) => all.slice(0, all.length - i));
      yield* evaluate(id, [...sets, ['1/0'], ['1/1']], request.known, signal);
      const off = ['1/0', '1/1'];
      yield result({
        promptId: id,
        outcome: MinimalSet_Outcome.OUTCOME_FOUND,
        members: [0, 1].map((index) => ({
          feature: { layer: 1, index },
          cosine: 0.9,
          cleanActivation: index,
          restoredScore: 2,
          aloneScore: 2,
        })),
        cleanScore: cleanScore(id),
        allOffScore: plantedScore(cleanScore(id), all),
        setScore: plantedScore(cleanScore(id), off),
        candidatesPerLayer: all.length,
        tried: [all.length],
        oneMinimal: true,
        evaluations: sets.length + 2,
        evaluationsReused: request.known.length,
        path: [{ featuresOff: all.length, score: -1, flipped: true, action: 'all off' }],
        method: 1,
        proof: [{ layer: 1, deltaNorm: 1, activeEdits: 2, activePairs: 9, residualNorm: 10 }],
      });
    },
    async *findDormant(
      request: { prompt?: Prompt | undefined; set: Feature[]; known: EvaluationRecord[] },
      { signal }: { signal: AbortSignal },
    ) {
      yield* evaluate(idOf(request.prompt), [names(request.set)], request.known, signal);
      yield result({
        promptId: idOf(request.prompt),
        dormantMembers: [{ layer: 1, index: 0 }],
        wokenTotal: 4,
        tested: 2,
      });
    },
    async *sampleMasks(
      request: { prompts: Prompt[]; features: Feature[]; masks: { bits: Buffer }[]; known: EvaluationRecord[] },
      { signal }: { signal: AbortSignal },
    ) {
      const id = idOf(request.prompts[0]);
      const all = names(request.features);
      const sets = request.masks.map(({ bits }) => all.filter((_, i) => decodeMask(bits, all.length)[i] === 1));
      yield* evaluate(id, sets, request.known, signal);
      yield result({ refusalScores: sets.map((off) => plantedScore(cleanScore(id), off)) });
    },
    async *measureInteractions(request: { prompt?: Prompt | undefined; pairs: unknown[] }) {
      const promptId = idOf(request.prompt);
      yield result({
        pairs: request.pairs.map(() => ({
          neither: 5,
          firstOff: 2,
          secondOff: 2,
          bothOff: -1,
          interaction: promptId.length,
        })),
      });
    },
    async *verifyFlips(request: { cases: { prompt?: Prompt | undefined }[] }) {
      const flips = request.cases.map(({ prompt }) => ({
        promptId: idOf(prompt),
        judgement: { verdict: 1, firstWords: 'Sure' },
      }));
      yield result({
        flips,
        complied: flips.length,
        total: flips.length,
        agree: flips.length,
        agreeTotal: flips.length,
        byLength: [8, 16].map((tokens) => ({ tokens, complied: 1, agree: 1, agreeTotal: 1, compliedBefore: 1 })),
      });
    },
    async *runControls(request: { cases: { prompt?: Prompt | undefined }[]; draws: number }) {
      const arm = { flips: 1, total: request.draws, meanScoreChange: -0.5, didNotAct: 1 };
      yield result({ randomFeatures: arm, randomActiveFeatures: arm, randomDirections: { ...arm, flips: 0 } });
    },
    ...claimHandlers({ evaluate, score: (id, off) => plantedScore(cleanScore(id), off) }),
    async *rankFeatures(request: { prompts: unknown[]; count: number }) {
      const first = (index: number) =>
        Array.from({ length: Math.min(request.count, 9) }, (_, i) => ({
          feature: { layer: 1, index: index + i },
          value: 1 / (i + 1),
        }));
      yield result({
        cosine: first(0),
        activationDifference: first(1),
        probeWeight: first(30),
        probeRight: request.prompts.length - 1,
        probeTotal: request.prompts.length,
      });
    },
    async *measureRankings(
      request: {
        prompts: Prompt[];
        rankings: { name: string; features: Feature[] }[];
        counts: number[];
        direction?: unknown;
        known: EvaluationRecord[];
      },
      { signal }: { signal: AbortSignal },
    ) {
      const id = idOf(request.prompts[0]);
      const rankings = request.rankings.map(({ name, features }) => {
        const counts = request.counts.filter((count) => count <= features.length);
        return { name, sets: counts.map((count) => names(features.slice(0, count))) };
      });
      yield* evaluate(
        id,
        rankings.flatMap(({ sets }) => sets),
        request.known,
        signal,
      );
      const armOf = (off: readonly string[]) => {
        const change = plantedScore(0, off);
        return { flips: cleanScore(id) + change < 0 ? 1 : 0, total: 1, meanScoreChange: change };
      };
      yield result({
        rankings: rankings.map(({ name, sets }) => ({
          name,
          points: sets.map((off) => ({ features: off.length, arm: armOf(off) })),
        })),
        randomActive: [{ features: 1, arm: armOf([]) }],
        ...(request.direction !== undefined && { directionAblation: armOf([]) }),
      });
    },
  };
};
