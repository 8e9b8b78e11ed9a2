/**
 * Conditional effects of woken features on one prompt (field practice: CoAx): the effect of a feature's loss once a context is off, minus
 * the effect of its loss in the intact model. Two contexts, because each is blind where the other sees:
 *
 *   step     the set, and what woke in earlier rounds. Blind if a later backup takes over at once.
 *   closure  the set, and everything else that woke. Blind if the feature needs another woken one beside it.
 *
 * The same is measured with null sets in place of the set: random features that are on, and the set's own edits turned at random.
 */

import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type Bank, createBank, EMPTY_BANK } from '../model/bank.js';
import type { Ask, PreparedPrompt } from '../model/evaluator.js';
import { createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { Scoring, SearchContext } from '../model/scoring.js';
import { rotateBank } from '../stages/random-rotation.js';
import type { Waking, WokenInRound } from './waking.js';

export interface ConditionalEffects {
  readonly feature: WokenInRound;
  /** Score change when it alone is off. */
  readonly intact: number;
  readonly step: number;
  readonly closure: number;
  /** The same two under each null set; empty where they were not asked for. */
  readonly nullStep: readonly number[];
  readonly nullClosure: readonly number[];
}

export interface EffectsRequest {
  readonly prompt: PreparedPrompt;
  readonly positions: Positions;
  readonly waking: Waking;
  /** Those of its woken features whose effects are wanted; all of them are off in the contexts. */
  readonly tested: readonly WokenInRound[];
  /** Of each of the two kinds. */
  readonly nullDraws: number;
  /** Nulls are measured where an effect is larger than this. */
  readonly minEffect: number;
  readonly random: SeededRandom;
}

type Score = (offs: readonly Off[]) => Promise<number[]>;

/** Features that are off beside edits of the null bank. */
interface Off {
  readonly features: readonly FeatureId[];
  readonly nullEdits?: readonly number[];
}

export async function measureEffects(
  context: SearchContext,
  scoring: Scoring,
  request: EffectsRequest,
): Promise<ConditionalEffects[]> {
  const { tested } = request;
  const { primaries, woken } = request.waking;
  if (tested.length === 0) return [];
  const nulls = await drawNulls(context, request);
  const features = await createFeatureBank(
    context,
    [...primaries, ...woken, ...nulls.features.flat()],
    request.positions,
  );
  const score = scorerOf(scoring, request.prompt, features, nulls.rotated.bank);
  const [clean, ...alone] = await score([{ features: [] }, ...tested.map((feature) => ({ features: [feature] }))]);
  const all = tested.map((feature, i) => ({ feature, intact: alone[i]! - clean! }));
  const real = await measureUnder(score, woken, all, { features: primaries });
  const wanted = all.map((_, i) => i).filter((i) => isLargerThan(real[i]!, request.minEffect));
  const sets: Off[] = [
    ...nulls.features.map((drawn) => ({ features: drawn })),
    ...nulls.rotated.on.map((edits) => ({ features: [], nullEdits: edits })),
  ];
  const measured = wanted.map((i) => all[i]!);
  const underNull = await Promise.all(
    (measured.length > 0 ? sets : []).map((set) => measureUnder(score, woken, measured, set)),
  );
  const nullsOf = (i: number, pick: (effect: Effect) => number): number[] =>
    wanted.includes(i) ? underNull.map((effects) => pick(effects[wanted.indexOf(i)]!)) : [];
  return all.map((one, i) => ({
    ...one,
    ...real[i]!,
    nullStep: nullsOf(i, ({ step }) => step),
    nullClosure: nullsOf(i, ({ closure }) => closure),
  }));
}

const isLargerThan = ({ step, closure }: Effect, least: number): boolean =>
  Math.max(Math.abs(step), Math.abs(closure)) > least;

interface Effect {
  readonly step: number;
  readonly closure: number;
}

interface Tested {
  readonly feature: WokenInRound;
  readonly intact: number;
}

/** Step and closure effects of the tested features with `set` off. */
async function measureUnder(
  score: Score,
  woken: readonly WokenInRound[],
  tested: readonly Tested[],
  set: Off,
): Promise<Effect[]> {
  const plus = (features: readonly FeatureId[]): Off => ({ ...set, features: [...set.features, ...features] });
  const offs = tested.flatMap(({ feature }) => {
    const earlier = woken.filter(({ round }) => round < feature.round);
    return [plus(earlier), plus([...earlier, feature]), plus(woken.filter((other) => other !== feature)), plus(woken)];
  });
  const scores = await score(offs);
  return tested.map(({ intact }, i) => {
    const [before, after, allButOne, all] = scores.slice(4 * i, 4 * i + 4) as [number, number, number, number];
    return { step: after - before - intact, closure: all - allButOne - intact };
  });
}

function scorerOf(scoring: Scoring, prompt: PreparedPrompt, features: FeatureBank, rotated: Bank): Score {
  const joined = rotated.size === 0 ? features.bank : createBank([...features.bank.layers, ...rotated.layers]);
  const { size } = features.bank;
  const askOf = ({ features: off, nullEdits = [] }: Off): Ask =>
    off.length + nullEdits.length === 0
      ? { prompt, bank: EMPTY_BANK, on: [] }
      : { prompt, bank: joined, on: [...features.edits(off), ...nullEdits.map((edit) => size + edit)] };
  return async (offs) => {
    const evaluations = await scoring.evaluator.evaluate(offs.map(askOf));
    return evaluations.map(({ refusalScore }) => refusalScore);
  };
}

async function drawNulls(context: SearchContext, { positions, waking, nullDraws, random }: EffectsRequest) {
  const { primaries, activeElsewhere, woken } = waking;
  const taken = new Set(woken.map(formatFeature));
  const free = activeElsewhere.filter((feature) => !taken.has(formatFeature(feature)));
  const features = Array.from({ length: nullDraws }, (_, draw) =>
    random.fork(`null ${draw}`).pick(free, primaries.length),
  ).filter((drawn) => drawn.length > 0);
  const own = await createFeatureBank(context, primaries, positions);
  return { features, rotated: rotateBank(own.bank, nullDraws, random.fork('rotated')) };
}
