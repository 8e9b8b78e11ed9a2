/**
 * Stage "cost": what suppressing each minimal set does to harmless text, so that a set that flips the refusal is told from one that breaks
 * the model. All members together and all candidates stand beside the sets as a scale.
 */
import type { SuppressionCosts } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { decodeCost } from '../peers/claims-from-wire.js';
import { drainCall } from '../peers/drain-call.js';
import { present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { CostFacts, Costs } from '../report/report-type.js';
import { chooseHarmless, claimsOf } from './claim-cases.js';
import { type PromptWithSet, promptsWithSets } from './search-prompts.js';
import type { Stage } from './stage.js';
import type { StageResults } from './stage-results.js';

/** Nats; the bound of Arditi et al. 2024 (appendix C) on a direction's ablation, which search uses for directions too. */
const KL_BOUND = 0.1;

export const costStage: Stage<'cost'> = {
  name: 'cost',
  async run(context, earlier) {
    const { spec, peers } = context;
    const settings = claimsOf(spec);
    const harmless = chooseHarmless(spec, earlier);
    const distinct = distinctSets(promptsWithSets(spec, earlier));
    const measured = distinct.slice(0, settings.costSets);
    const sets = harmless.taken.length === 0 ? [] : withScale(measured, earlier);
    const examined = { count: harmless.taken.length, of: harmless.all.length };
    const of = { count: sets.length === 0 ? 0 : measured.length, of: distinct.length };
    if (sets.length === 0) return { ...NOTHING_MEASURED, examined, distinctSets: of };
    const request = {
      model: spec.model,
      prompts: harmless.taken.map(encodePrompt),
      sets: sets.map(({ members }, i) => ({ name: `set ${i + 1}`, features: encodeFeatures(members) })),
      score: encodeScore(earlier.openers.score),
      positions: encodePositions(spec.positions),
      answerTokens: settings.costAnswerTokens,
    };
    const costs = await drainCall<SuppressionCosts>(context.call(), (known, options) =>
      peers.search.measureCost({ ...request, known }, options),
    );
    const rows = sets.map((set, i) => ({ ...set, ...decodeCost(present(costs.sets[i], 'the cost of a set')) }));
    const [first] = costs.sets;
    const below = rows.filter((row) => row.off === 'minimal set' && row.meanKl <= KL_BOUND);
    return {
      examined,
      distinctSets: of,
      klBound: KL_BOUND,
      belowBound: { count: below.length, of: measured.length },
      answerTokens: first?.answerTokens ?? 0,
      cleanCrossEntropy: first?.cleanCrossEntropy ?? null,
      rows,
    };
  },
  summarize: ({ belowBound, klBound, examined }) =>
    `${belowBound.count} of ${belowBound.of} sets change the first token of harmless answers by at most ${klBound} nats (mean KL over ${examined.count} prompts)`,
};

const NOTHING_MEASURED: Omit<Costs, 'examined' | 'distinctSets'> = {
  klBound: KL_BOUND,
  belowBound: { count: 0, of: 0 },
  answerTokens: 0,
  cleanCrossEntropy: null,
  rows: [],
};

type Suppressed = Pick<CostFacts, 'off' | 'members' | 'promptIds'>;

/** Prompts often share a set: each once, those of most prompts first. */
export const distinctSets = (cases: readonly PromptWithSet[]): Suppressed[] => {
  const sets = new Map<string, { members: readonly string[]; promptIds: string[] }>();
  for (const { prompt, features } of cases) {
    const name = [...features].sort().join(' ');
    const set = sets.get(name) ?? { members: features, promptIds: [] };
    set.promptIds.push(prompt.id);
    sets.set(name, set);
  }
  return [...sets.values()]
    .map((set) => ({ off: 'minimal set' as const, ...set }))
    .sort((a, b) => b.promptIds.length - a.promptIds.length);
};

const withScale = (sets: readonly Suppressed[], { candidates }: StageResults): Suppressed[] => {
  if (sets.length === 0) return [];
  const together = [...new Set(sets.flatMap(({ members }) => members))];
  const near = candidates.features.map(({ feature }) => feature);
  return [
    ...sets,
    { off: 'all sets', members: together, promptIds: [] },
    { off: 'all candidates', members: near, promptIds: [] },
  ];
};
