/**
 * Stage "hydra": over the prompts together, which features wake once others are off and then carry the refusal. Traced twice. From the
 * prompts' minimal sets, which were found by flipping: such a set has to win, so it holds a backup or is made of what wakes it little. And
 * from each prompt's strongest features of the earlier layers, which were chosen without a look at any score.
 */
import type { HydraReport, TraceHydraRequest } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import type { AuditPrompt } from '../audit/audit-spec.js';
import { decodeHydra } from '../peers/claims-from-wire.js';
import { drainCall } from '../peers/drain-call.js';
import { encodeCandidates, encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { HydraTrace, StrongestTrace } from '../report/report-type.js';
import { chooseCases, claimsOf } from './claim-cases.js';
import { derivedSeed } from './derived-seed.js';
import { searchPrompts, spreadOverCategories } from './search-prompts.js';
import type { Stage, StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

// One prompt says nothing about a mean.
const MIN_PROMPTS = 2;
/** Two traces, each at half of the level: among the features of both the expected share of false ones is at most the level then. */
const TRACES = 2;

export const hydraStage: Stage<'hydra'> = {
  name: 'hydra',
  async run(context, earlier) {
    const { cases, examined } = chooseCases(context.spec, earlier, promptsOf(context));
    const ownSets = cases.map(({ prompt, features, setScore }) => ({
      prompt: encodePrompt(prompt),
      set: encodeFeatures(features),
      score: setScore,
    }));
    const fromSets = cases.length < MIN_PROMPTS ? undefined : await trace(context, earlier, { cases: ownSets });
    const fromStrongest = await traceStrongest(context, earlier);
    return {
      examined: fromSets ? examined : { count: 0, of: examined.of },
      ...(fromSets ?? NOT_TRACED),
      ...(fromStrongest && { fromStrongest }),
    };
  },
  summarize: ({ examined, fromStrongest, ...fromSets }) => {
    const sets = fromSets.depth === null ? `not traced, as ${examined.of} prompts have a set` : traceText(fromSets);
    const strongest = fromStrongest ? traceText(fromStrongest) : 'not traced';
    return `hold up refusal, of the features that woke in two prompts or more: once minimal sets are off, ${sets}; once strong early features are, ${strongest}`;
  },
};

const promptsOf = ({ spec }: StageContext): number => claimsOf(spec).hydraPrompts ?? claimsOf(spec).prompts;

const NOT_TRACED: HydraTrace = { depth: null, tested: 0, wokenByRound: [], features: [] };

const traceText = ({ features, tested }: HydraTrace): string => `${features.length} of ${tested}`;

const trace = async (
  context: StageContext,
  earlier: StageResults,
  start: Pick<TraceHydraRequest, 'cases'> & Partial<Pick<TraceHydraRequest, 'strongest'>>,
): Promise<HydraTrace> => {
  const { spec, peers } = context;
  const settings = claimsOf(spec);
  const request = {
    ...start,
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    candidates: encodeFeatures(earlier.candidates.features.map(({ feature }) => feature)),
    layers: [...earlier.describe.layers],
    positions: encodePositions(spec.positions),
    minEffect: settings.hydraMinEffect,
    level: settings.hydraLevel / TRACES,
    maxTested: settings.hydraFeatures,
    maxRounds: settings.hydraRounds,
    nullDraws: settings.hydraNullDraws,
    seed: derivedSeed(spec.seed, 'hydra'),
  };
  const found = await drainCall<HydraReport>(context.call(), (known, options) =>
    peers.search.traceHydra({ ...request, known }, options),
  );
  return decodeHydra(found);
};

/**
 * From the candidates below the last layer that is searched, so that there is a layer in which something can wake. Prompts need no set:
 * where nothing flips, backups are likeliest. Undefined if there is one such layer or prompt, or the spec is older than this trace.
 */
const traceStrongest = async (context: StageContext, earlier: StageResults): Promise<StrongestTrace | undefined> => {
  const { hydraStrongest: perPrompt } = claimsOf(context.spec);
  const all = searchPrompts(context.spec, earlier);
  const prompts = spreadOverCategories(all, promptsOf(context), ({ category }: AuditPrompt) => category);
  const belowLayer = Math.max(...earlier.describe.layers);
  const among = earlier.candidates.features.filter(({ layer }) => layer < belowLayer);
  if (perPrompt === undefined || prompts.length < MIN_PROMPTS || among.length === 0) return undefined;
  const found = await trace(context, earlier, {
    cases: prompts.map((prompt) => ({ prompt: encodePrompt(prompt), set: [], score: 0 })),
    strongest: { count: perPrompt, among: encodeCandidates(among) },
  });
  return { examined: { count: prompts.length, of: all.length }, perPrompt, belowLayer, ...found };
};
