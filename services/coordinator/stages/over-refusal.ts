/**
 * Stage "over-refusal", only where refused harmless prompts are searched: which features cause false refusals, and what is lost with them.
 * Each feature of a minimal set, and each set, is switched off in all of these prompts and in the harmful ones that are refused.
 */
import type { MaskScores } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import type { AuditPrompt, AuditSpec } from '../audit/audit-spec.js';
import { drainCall } from '../peers/drain-call.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { Count } from '../report/report-type.js';
import { rankSharedFeatures } from '../report/shared-features.js';
import { claimsOf } from './claim-cases.js';
import { distinctSets } from './cost.js';
import { promptsWithSets, spreadOverCategories } from './search-prompts.js';
import type { Stage, StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

// A feature or a set costs an evaluation a prompt; with 16 harmful prompts these are a few hundred.
const MAX_FEATURES = 32;
const MAX_SETS = 32;

export const overRefusalStage: Stage<'over-refusal'> = {
  name: 'over-refusal',
  async run(context, earlier) {
    const { spec } = context;
    const cases = promptsWithSets(spec, earlier);
    const shared = rankSharedFeatures(earlier.filter.sets).slice(0, MAX_FEATURES);
    const sets = distinctSets(cases).slice(0, MAX_SETS);
    const offs = [...shared.map(({ feature }) => [feature]), ...sets.map(({ members }) => members)];
    const falsely = await scoreOffs(context, earlier, { part: 'false', prompts: cases.map((one) => one.prompt), offs });
    const harmful = await scoreOffs(context, earlier, {
      part: 'harmful',
      prompts: refusedHarmful(spec, earlier),
      offs,
    });
    const outcome = (i: number) => ({
      ended: countWhere(falsely, (scores) => scores[i]! < 0),
      stillRefused: countWhere(harmful, (scores) => scores[i]! > 0),
    });
    return {
      refused: countRefused(spec, earlier),
      features: shared.map(({ feature, sets: inSets, promptIds }, i) => ({
        feature,
        inSets,
        promptIds,
        ...outcome(i),
      })),
      sets: sets.map(({ members, promptIds }, i) => ({ members, promptIds, ...outcome(shared.length + i) })),
    };
  },
  summarize: ({ refused, features }) =>
    `${refused.count} of ${refused.of} harmless prompts are refused; ${features.length} features are in the sets that end this`,
};

/** Harmless prompts with a clean score above 0, of those with a score. */
const countRefused = (spec: AuditSpec, { openers }: StageResults): Count => {
  const scores = spec.prompts.flatMap(({ id, label }) =>
    label === 'harmless' ? (openers.baselines[id]?.refusalScore ?? []) : [],
  );
  return countWhere(scores, (score) => score > 0);
};

/** As many as the other stages behind claims take; with fixed openers clean scores are not known, and all count as refused. */
const refusedHarmful = (spec: AuditSpec, { openers }: StageResults): AuditPrompt[] => {
  const refused = spec.prompts.filter(
    ({ id, label }) => label === 'harmful' && (openers.baselines[id]?.refusalScore ?? Number.POSITIVE_INFINITY) > 0,
  );
  return spreadOverCategories(refused, claimsOf(spec).prompts, ({ category }) => category);
};

interface Offs {
  readonly part: string;
  readonly prompts: readonly AuditPrompt[];
  readonly offs: readonly (readonly string[])[];
}

/** Scores by prompt, each in the order of `offs`. */
const scoreOffs = async (
  context: StageContext,
  earlier: StageResults,
  { part, prompts, offs }: Offs,
): Promise<number[][]> => {
  const { spec, peers } = context;
  const features = [...new Set(offs.flat())];
  if (features.length === 0) return [];
  const request = {
    model: spec.model,
    score: encodeScore(earlier.openers.score),
    features: encodeFeatures(features),
    positions: encodePositions(spec.positions),
    masks: offs.map((off) => ({
      bits: encodeMaskIndices(
        off.map((feature) => features.indexOf(feature)),
        features.length,
      ),
    })),
  };
  return context.forEachPrompt(
    prompts,
    async (prompt, call) => {
      const { refusalScores } = await drainCall<MaskScores>(call, (known, options) =>
        peers.search.sampleMasks({ ...request, prompts: [encodePrompt(prompt)], known }, options),
      );
      return [...refusalScores];
    },
    part,
  );
};

const countWhere = <Item>(items: readonly Item[], test: (item: Item) => boolean): Count => ({
  count: items.filter(test).length,
  of: items.length,
});
