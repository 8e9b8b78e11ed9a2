/**
 * The hydra effect over a group of prompts: which features are asleep in the clean model, wake once the refusal's own features are off,
 * and then carry it. Waking is followed until nothing new wakes (hydra/waking.ts); effects are conditional and held against null sets
 * (hydra/conditional-effects.ts); a feature is reported if its mean effect over the prompts is larger than the least one, at the stated
 * rate of false ones among all that woke.
 */

import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { type ConditionalEffects, measureEffects } from '../hydra/conditional-effects.js';
import { findWakers, type Wakers } from '../hydra/find-wakers.js';
import { type JudgedFeature, judgeFeatures } from '../hydra/judge-effects.js';
import { followWaking, type Waking } from '../hydra/waking.js';
import type { EvaluationRecord, PreparedPrompt } from '../model/evaluator.js';
import { assertDistinctFeatures } from '../model/feature-bank.js';
import type { Prompt, ScoreSpec } from '../model/model-port.js';
import { type Activations, groupByLayer } from '../model/read-activations.js';
import type { RankedFeature } from '../model/sae-port.js';
import { openScoring, type Scoring, type SearchContext } from '../model/scoring.js';
import { average } from '../statistics/mean-evidence.js';
import { orderByEstimate } from './order-candidates.js';

export interface HydraCase {
  readonly prompt: Prompt;
  /** Its members that are on in the clean prompt are switched off first; the others have to wake like any feature. Empty with `strongest`. */
  readonly set: readonly FeatureId[];
}

/** Chooses what is switched off first without a look at any score: each prompt's first `count` of `among` by FilterPrompt's order. */
export interface StrongestFeatures {
  readonly count: number;
  readonly among: readonly RankedFeature[];
}

export interface TraceHydraRequest {
  readonly model: string;
  readonly cases: readonly HydraCase[];
  /** In place of the sets of the cases. */
  readonly strongest?: StrongestFeatures;
  readonly score: ScoreSpec;
  readonly candidates: readonly FeatureId[];
  /** Layers whose whole SAEs are searched; of other layers only `candidates` and the sets. */
  readonly layers: readonly number[];
  readonly positions: Positions;
  /** Smallest mean effect that counts, log-odds. */
  readonly minEffect: number;
  /** Expected share of false features among those reported. */
  readonly level: number;
  readonly maxTested: number;
  readonly maxRounds: number;
  readonly nullDraws: number;
  readonly seed: number;
  readonly known: readonly EvaluationRecord[];
}

export interface HydraFeature extends JudgedFeature {
  readonly wakers: Wakers;
}

export interface HydraReport {
  readonly prompts: number;
  /** Reported features, by round, then effect. */
  readonly features: readonly HydraFeature[];
  /** Rounds that gave a reported feature. 0: no hydra. */
  readonly depth: number;
  /** Features that woke in two prompts at least. */
  readonly tested: number;
  /** Mean number of features that woke, by round. */
  readonly wokenByRound: readonly number[];
}

export const HYDRA_DEFAULTS = { minEffect: 0.1, level: 0.05, maxTested: 64, maxRounds: 8, nullDraws: 3 } as const;
const MAX_STRONGEST = 1024;
/** A feature that woke in fewer is not tested: nothing can be said of its mean, and it would be one more test that others are adjusted for. */
const LEAST_PROMPTS = 2;
/** Prompts that are asked for a feature's wakers: each costs a forward pass for every block of suppressed features that is tried. */
const WAKER_PROMPTS = 8;

/** One prompt, followed and measured. */
interface Traced {
  readonly prompt: PreparedPrompt;
  readonly waking: Waking;
  readonly effects: readonly ConditionalEffects[];
}

export async function traceHydra(context: SearchContext, request: TraceHydraRequest): Promise<HydraReport> {
  assertRequest(request);
  const scoring = await openScoring(context, { ...request, prompts: request.cases.map(({ prompt }) => prompt) });
  const traced = await traceEach(context, scoring, request);
  const judged = judgeFeatures(
    request,
    traced.flatMap(({ effects }) => effects),
  );
  const accepted = judged.filter(({ qValue }) => qValue <= request.level);
  const features: HydraFeature[] = [];
  for (const feature of accepted)
    features.push({ ...feature, wakers: await wakersOf(context, request, traced, feature, accepted) });
  return {
    prompts: traced.length,
    features: features.sort((a, b) => a.round - b.round || Math.abs(b.effect.mean) - Math.abs(a.effect.mean)),
    depth: new Set(features.map(({ round }) => round)).size,
    tested: judged.length,
    wokenByRound: countByRound(traced),
  };
}

/** All prompts are followed before any effect is measured: what woke in one alone will not be tested, and is most of what wakes. */
async function traceEach(context: SearchContext, scoring: Scoring, request: TraceHydraRequest): Promise<Traced[]> {
  const { cases, seed, strongest } = request;
  const searched = layersToSearch(request);
  const followed: Pick<Traced, 'prompt' | 'waking'>[] = [];
  const wokeIn = new Map<string, number>();
  for (const [i, { set }] of cases.entries()) {
    const prompt = scoring.prompts[i]!;
    const first = strongest ? (clean: Activations) => chooseStrongest(strongest, clean) : () => set;
    const waking = await followWaking(context, { ...request, prompt, first, searched });
    for (const name of waking.woken.map(formatFeature)) wokeIn.set(name, (wokeIn.get(name) ?? 0) + 1);
    followed.push({ prompt, waking });
    scoring.progress('hydra', i + 1, 2 * cases.length, `${waking.woken.length} woke`);
  }
  const random = createSeededRandom(seed).fork('hydra');
  const traced: Traced[] = [];
  for (const [i, { prompt, waking }] of followed.entries()) {
    const tested = waking.woken.filter((feature) => wokeIn.get(formatFeature(feature))! >= LEAST_PROMPTS);
    const own = random.fork(`prompt ${prompt.prompt.id}`);
    const effects = await measureEffects(context, scoring, { ...request, prompt, waking, tested, random: own });
    traced.push({ prompt, waking, effects });
    scoring.progress('hydra', cases.length + i + 1, 2 * cases.length, `${tested.length} measured`);
  }
  return traced;
}

function chooseStrongest({ count, among }: StrongestFeatures, clean: Activations): FeatureId[] {
  const { byEstimate, activeCount } = orderByEstimate(among, clean);
  return byEstimate.slice(0, Math.min(count, activeCount)).map((i) => among[i]!);
}

function assertRequest({ cases, strongest, minEffect, level, nullDraws }: TraceHydraRequest): void {
  for (const { prompt, set } of cases) {
    if (strongest === undefined) assertDistinctFeatures(set, `The set of prompt ${prompt.id}`);
    else if (set.length > 0)
      throw fault('REQUEST_INVALID', `Prompt ${prompt.id} has a set, and so has strongest: give one of the two.`);
  }
  if (strongest !== undefined) assertStrongest(strongest);
  if (!(minEffect > 0 && Number.isFinite(minEffect)))
    throw fault('REQUEST_INVALID', `min_effect is ${minEffect}; it must be a number above 0.`);
  if (!(level > 0 && level < 1))
    throw fault('REQUEST_INVALID', `level is ${level}; as a share of false features it must be between 0 and 1.`);
  if (nullDraws < 1) throw fault('REQUEST_INVALID', 'null_draws is 0; at least one null set of each kind is needed.');
}

function assertStrongest({ count, among }: StrongestFeatures): void {
  assertDistinctFeatures(among, 'strongest.among');
  if (count < 1 || count > MAX_STRONGEST)
    throw fault('REQUEST_INVALID', `strongest.count is ${count}; it must be 1 to ${MAX_STRONGEST}.`);
}

function layersToSearch({ candidates, cases, strongest, layers }: TraceHydraRequest) {
  const searched = new Map<number, readonly number[] | undefined>();
  const named = groupByLayer([...candidates, ...cases.flatMap(({ set }) => set), ...(strongest?.among ?? [])]);
  for (const [layer, indices] of named) searched.set(layer, [...new Set(indices)]);
  for (const layer of layers) searched.set(layer, undefined);
  return searched;
}

/** What the feature owes its waking to, among its primaries and the reported features; of what else woke only where these do not do it. */
function wakersOf(
  context: SearchContext,
  { positions }: TraceHydraRequest,
  traced: readonly Traced[],
  feature: JudgedFeature,
  accepted: readonly JudgedFeature[],
): Promise<Wakers> {
  const name = formatFeature(feature);
  const reported = new Set(accepted.map(formatFeature));
  const wokeIn = traced.filter(({ effects }) => effects.some((effect) => formatFeature(effect.feature) === name));
  const cases = wokeIn.slice(0, WAKER_PROMPTS).map(({ prompt, waking: { primaries, woken } }) => {
    const others = woken.filter((own) => formatFeature(own) !== name);
    return {
      prompt,
      suppressed: [...primaries, ...others.filter((own) => reported.has(formatFeature(own)))],
      otherwise: [...primaries, ...others],
    };
  });
  return findWakers(context, { feature, positions, cases });
}

function countByRound(traced: readonly Traced[]): number[] {
  const rounds = Math.max(0, ...traced.map(({ waking }) => waking.counts.length));
  return Array.from({ length: rounds }, (_, round) => average(traced.map(({ waking }) => waking.counts[round] ?? 0)));
}
