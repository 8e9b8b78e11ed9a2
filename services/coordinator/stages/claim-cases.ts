/** What the stages behind claims look at: prompts with their sets and harmless prompts, both within the spec's caps, and candidates. */
import { fault } from '../../../shared/errors/fault.js';
import type { AuditPrompt, AuditSpec } from '../audit/audit-spec.js';
import type { ClaimSettings } from '../audit/claim-settings.js';
import type { Candidates } from '../report/report-type.js';
import { directionsOf, rankCandidates } from './candidates.js';
import { type PromptWithSet, promptsWithSets, spreadOverCategories } from './search-prompts.js';
import type { StageContext } from './stage.js';
import type { StageResults } from './stage-results.js';

export interface ClaimCases {
  readonly settings: ClaimSettings;
  readonly cases: readonly PromptWithSet[];
  readonly prompts: readonly AuditPrompt[];
  readonly byId: ReadonlyMap<string, PromptWithSet>;
  /** Of all prompts with a minimal set. */
  readonly examined: { readonly count: number; readonly of: number };
}

/** At most `limit` prompts; the spec's cap unless the stage has one of its own. */
export const chooseCases = (
  spec: AuditSpec,
  earlier: StageResults,
  limit: number = claimsOf(spec).prompts,
): ClaimCases => {
  const settings = claimsOf(spec);
  const all = promptsWithSets(spec, earlier);
  const cases = spreadOverCategories(all, limit, ({ prompt }) => prompt.category);
  return {
    settings,
    cases,
    prompts: cases.map(({ prompt }) => prompt),
    byId: new Map(cases.map((one) => [one.prompt.id, one])),
    examined: { count: cases.length, of: all.length },
  };
};

export const claimsOf = (spec: AuditSpec): ClaimSettings => {
  if (spec.claims === undefined) throw fault('INTERNAL', 'A stage behind claims was run without its settings.');
  return spec.claims;
};

/** Harmless prompts that the clean model answers (or of which that is not known) and that are not searched: all, and those taken. */
export const chooseHarmless = (
  spec: AuditSpec,
  { openers }: StageResults,
): { readonly all: readonly AuditPrompt[]; readonly taken: readonly AuditPrompt[] } => {
  const searched = new Set(openers.searchIds);
  const all = spec.prompts.filter(
    ({ id, label }) =>
      label === 'harmless' &&
      !searched.has(id) &&
      (openers.baselines[id]?.refusalScore ?? Number.NEGATIVE_INFINITY) <= 0,
  );
  return { all, taken: spreadOverCategories(all, claimsOf(spec).harmlessPrompts, ({ category }) => category) };
};

/** The candidates at so many a layer, asked for once each. */
export const createCandidateRanks = (context: StageContext, earlier: StageResults) => {
  const ranks = new Map<number, Promise<Candidates>>();
  return (perLayer: number): Promise<Candidates> => {
    const rank =
      ranks.get(perLayer) ?? rankCandidates(context, directionsOf(earlier, earlier.describe.layers), perLayer);
    ranks.set(perLayer, rank);
    return rank;
  };
};
