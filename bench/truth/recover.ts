/** The search on a planted model, stage by stage, as an audit runs them. What it is told of the mechanism: nothing. */
import { DEFAULT_BUDGET } from '../../services/search/directions/score-directions.js';
import { createGroupFilter } from '../../services/search/filter/group.js';
import type { Prompt, RefusalModel, ScoreSpec } from '../../services/search/model/model-port.js';
import type { RankedFeature, SaeSource } from '../../services/search/model/sae-port.js';
import type { SearchContext } from '../../services/search/model/scoring.js';
import { calibrateOpeners } from '../../services/search/stages/calibrate-openers.js';
import { takePerLayer } from '../../services/search/stages/candidate-growth.js';
import { enumerateMinimalSets, type MinimalSetFamily } from '../../services/search/stages/enumerate-minimal-sets.js';
import { filterPrompt, type MinimalSet } from '../../services/search/stages/filter-prompt.js';
import { findDirections } from '../../services/search/stages/find-directions.js';
import { measureInteractions, type TwoByTwo } from '../../services/search/stages/measure-interactions.js';
import { type LayerDirection, rankCandidates } from '../../services/search/stages/rank-candidates.js';
import { type SufficiencyReport, testSufficiency } from '../../services/search/stages/test-sufficiency.js';
import { type HydraReport, type StrongestFeatures, traceHydra } from '../../services/search/stages/trace-hydra.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import { type FeatureId, formatFeature } from '../../shared/tensors/feature-name.js';
import type { Positions } from '../../shared/tensors/positions.js';
import type { PlantedModel, PlantedPrompt } from './plant/plant-model.js';

export interface RecoveredPrompt {
  readonly prompt: PlantedPrompt;
  readonly set: MinimalSet;
  readonly family: MinimalSetFamily;
  /** Of every two members of the family, and of members with candidates that are in no set. */
  readonly pairs: readonly TwoByTwo[];
  /** Of the smallest set that has no dormant member, and of the smallest sustaining set. */
  readonly sufficiency: readonly { readonly set: readonly FeatureId[]; readonly report: SufficiencyReport }[];
}

export interface RecoveredCategory {
  readonly category: string;
  readonly prompts: readonly RecoveredPrompt[];
  /** From the minimal sets that most of these prompts have, over twelve of the category's prompts. */
  readonly hydras: readonly HydraReport[];
  /** From all that is on among the nearest features below the last planted layer, whatever flips; undefined where there is no such layer. */
  readonly fromStrongest: HydraReport | undefined;
  /** From features that are in no minimal set: whatever it reports is false. */
  readonly nullHydra: HydraReport;
}

export interface Recovery {
  readonly score: ScoreSpec;
  readonly positions: Positions;
  /** Share of prompts where score and judged text agree. */
  readonly agreement: number;
  /** Layer by layer, by decreasing cosine. */
  readonly ranked: readonly RankedFeature[];
  readonly categories: readonly RecoveredCategory[];
  readonly evaluations: number;
}

export interface Peers {
  readonly model: RefusalModel;
  readonly saes: SaeSource;
}

const GROWTH = [10, 20, 50, 100];
/** Nearest features a layer among which all minimal sets are looked for. */
export const UNIVERSE = 40;
const HELD_OUT = 4;
/** Prompts of each category that go through stage 2 and what follows. */
const PROMPTS = 2;
/**
 * Prompts that a hydra is traced over, as many as an audit has. Its test is one of a mean: with four prompts, one in which noise opened a
 * gate is enough for a true feature not to be reported; with eight, two of those in which it woke.
 */
const HYDRA_PROMPTS = 12;
const MAX_HYDRAS = 4;
/** Nearest features a layer among which the strongest are: more than there are planted near the direction. */
const STRONGEST_AMONG = 20;
/** Effects below this are noise to the mechanisms, whose weights are 4 and more. */
export const LEAST_EFFECT = 0.5;
/** Pairs of a member with a candidate that is in no set. */
const NULL_PAIRS = 10;
/** Features of a null hydra's set; those that are not on in a prompt drop out of it. */
const NULL_MEMBERS = 12;

interface Ground {
  readonly context: SearchContext;
  readonly planted: PlantedModel;
  readonly score: ScoreSpec;
  readonly positions: Positions;
  readonly directions: readonly LayerDirection[];
  readonly universe: readonly RankedFeature[];
  readonly harmless: readonly Prompt[];
}

export async function recover(planted: PlantedModel, peers: Peers): Promise<Recovery> {
  let evaluations = 0;
  const context: SearchContext = {
    ...peers,
    signal: new AbortController().signal,
    onProgress: () => {},
    onEvaluation: () => evaluations++,
  };
  const labelled = planted.prompts.map((prompt) => ({ prompt: toPrompt(prompt), label: prompt.label }));
  const { score, agreement } = await calibrateOpeners(context, {
    model: '',
    prompts: labelled,
    maxDepth: 4,
    maxNewTokens: 32,
  });
  const directions = await directionsOf(context, labelled, score);
  const ranked = await rankCandidates(context, directions, UNIVERSE);
  const ground: Ground = {
    context,
    planted,
    score,
    positions: positionsOf(planted),
    directions,
    universe: ranked,
    harmless: labelled
      .filter(({ label }) => label === 'harmless')
      .map(({ prompt }) => prompt)
      .slice(0, 4),
  };
  const categories: RecoveredCategory[] = [];
  for (const category of planted.mechanism.categories) categories.push(await recoverCategory(ground, category));
  return {
    score,
    positions: ground.positions,
    agreement: agreement.total === 0 ? 0 : agreement.agree / agreement.total,
    ranked,
    categories,
    evaluations,
  };
}

export const toPrompt = ({ id, text }: PlantedPrompt): Prompt => ({ id, input: { kind: 'text', text } });

const positionsOf = ({ mechanism }: PlantedModel): Positions =>
  mechanism.positions === 'all'
    ? { span: 'all', start: 0, end: 0, includeBos: true }
    : { span: 'instruction', start: 0, end: 0, includeBos: false };

async function directionsOf(
  context: SearchContext,
  prompts: readonly { readonly prompt: Prompt; readonly label: 'harmful' | 'harmless' }[],
  score: ScoreSpec,
): Promise<LayerDirection[]> {
  const plan = { heldOutPerLabel: HELD_OUT, positions: [], seed: 1, known: [], budget: DEFAULT_BUDGET };
  const found = await findDirections(context, { model: '', prompts, score, ...plan });
  const withSae = new Set((await context.saes.list(context.signal)).map(({ layer }) => layer));
  return found.bestByLayer.map((index) => found.directions[index]!.direction).filter(({ layer }) => withSae.has(layer));
}

async function recoverCategory(ground: Ground, category: string): Promise<RecoveredCategory> {
  const own = ground.planted.prompts.filter((prompt) => prompt.category === category);
  const prompts: RecoveredPrompt[] = [];
  for (const prompt of own.slice(0, PROMPTS)) prompts.push(await recoverPrompt(ground, prompt));
  const hydras: HydraReport[] = [];
  const traced = own.slice(0, HYDRA_PROMPTS);
  for (const set of setsToTrace(prompts)) hydras.push(await hydraOf(ground, traced, { set }));
  const last = Math.max(...[...ground.planted.places.values()].map(({ layer }) => layer));
  const among = takePerLayer(ground.universe, STRONGEST_AMONG).filter(({ layer }) => layer < last);
  const strongest = { count: among.length, among };
  const fromStrongest =
    among.length === 0 ? undefined : await hydraOf(ground, traced, { set: [], strongest, nullDraws: 1 });
  const members = new Set(prompts.flatMap(({ family }) => family.members.map(formatFeature)));
  const outside = ground.universe.filter((candidate) => !members.has(formatFeature(candidate)));
  const random = createSeededRandom(1).fork(`null ${category}`);
  const nullHydra = await hydraOf(ground, traced, { set: random.pick(outside, NULL_MEMBERS) });
  return { category, prompts, hydras, fromStrongest, nullHydra };
}

/** With noise a prompt may have none, or one that is no other's: those of most prompts come first. */
function setsToTrace(prompts: readonly RecoveredPrompt[]): (readonly FeatureId[])[] {
  const byName = new Map<string, { readonly members: readonly FeatureId[]; count: number }>();
  for (const { members } of prompts.flatMap(({ family }) => family.sets)) {
    const name = members.map(formatFeature).join(' ');
    const found = byName.get(name) ?? { members, count: 0 };
    found.count++;
    byName.set(name, found);
  }
  const sets = [...byName.values()].sort((a, b) => b.count - a.count);
  return sets.slice(0, MAX_HYDRAS).map(({ members }) => members);
}

async function recoverPrompt(ground: Ground, prompt: PlantedPrompt): Promise<RecoveredPrompt> {
  const { context, score, positions, directions, universe } = ground;
  const request = { model: '', prompt: toPrompt(prompt), score, positions, known: [] };
  const set = await filterPrompt(context, { ...request, directions, growth: GROWTH, filter: createGroupFilter() });
  const budget = { maxEvaluations: 4000, maxSets: 64 };
  const family = await enumerateMinimalSets(context, { ...request, candidates: universe, ...budget });
  const pairs = pairsOf(family, universe);
  const awake = family.sets.find(({ members }) => members.every((member) => isAwake(family, member)));
  const tried = [awake, family.sustaining[0]].flatMap((found) => (found ? [found.members] : []));
  const sufficiency = [];
  for (const members of tried) {
    const all = { ...request, set: members, candidates: universe, harmless: ground.harmless, draws: 2, seed: 1 };
    sufficiency.push({ set: members, report: await testSufficiency(context, all) });
  }
  return {
    prompt,
    set,
    family,
    pairs: pairs.length === 0 ? [] : await measureInteractions(context, { ...request, pairs, context: [] }),
    sufficiency,
  };
}

const isAwake = ({ members }: MinimalSetFamily, { layer, index }: FeatureId): boolean =>
  members.some((member) => member.layer === layer && member.index === index && member.cleanActivation > 0);

function pairsOf({ members }: MinimalSetFamily, universe: readonly RankedFeature[]) {
  const names = new Set(members.map(formatFeature));
  const others = universe.filter((candidate) => !names.has(formatFeature(candidate))).slice(0, NULL_PAIRS);
  const inside = members.flatMap((first, i) => members.slice(i + 1).map((second) => ({ first, second })));
  const outside = members.length === 0 ? [] : others.map((second) => ({ first: members[0]!, second }));
  return [...inside, ...outside];
}

interface TraceStart {
  readonly set: readonly FeatureId[];
  readonly strongest?: StrongestFeatures;
  readonly nullDraws?: number;
}

const hydraOf = (
  { context, planted, score, positions }: Pick<Ground, 'context' | 'planted' | 'score' | 'positions'>,
  prompts: readonly PlantedPrompt[],
  { set, ...start }: TraceStart,
): Promise<HydraReport> =>
  traceHydra(context, {
    model: '',
    cases: prompts.map((prompt) => ({ prompt: toPrompt(prompt), set })),
    score,
    positions,
    candidates: [],
    layers: [...new Set([...planted.places.values()].map(({ layer }) => layer))].sort((a, b) => a - b),
    minEffect: LEAST_EFFECT,
    level: 0.05,
    maxTested: 24,
    maxRounds: 8,
    nullDraws: 2,
    seed: 1,
    known: [],
    ...start,
  });
