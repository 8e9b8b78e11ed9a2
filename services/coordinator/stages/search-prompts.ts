/** Which prompts a stage runs on: the searched ones, or those that have a minimal set, with the set. */
import type { AuditPrompt, AuditSpec } from '../audit/audit-spec.js';
import type { MinimalSetFacts } from '../report/report-type.js';
import type { StageResults } from './stage-results.js';

export const searchPrompts = (spec: AuditSpec, earlier: StageResults): AuditPrompt[] => {
  const ids = new Set(earlier.openers.searchIds);
  return spec.prompts.filter((prompt) => ids.has(prompt.id));
};

export interface PromptWithSet {
  readonly prompt: AuditPrompt;
  readonly set: MinimalSetFacts;
  readonly features: readonly string[];
  readonly setScore: number;
}

export const promptsWithSets = (spec: AuditSpec, earlier: StageResults): PromptWithSet[] => {
  const byId = new Map(spec.prompts.map((prompt) => [prompt.id, prompt]));
  return earlier.filter.sets.flatMap((set) => {
    const prompt = byId.get(set.promptId);
    if (prompt === undefined || set.setScore === null) return [];
    return [{ prompt, set, features: set.members.map((member) => member.feature), setScore: set.setScore }];
  });
};

/** At most `limit`: the first of every category, then the second of every category, and so on; in the order given. */
export const spreadOverCategories = <Item>(
  items: readonly Item[],
  limit: number,
  categoryOf: (item: Item) => string,
): Item[] => {
  const seen = new Map<string, number>();
  const turns = items.map((item) => {
    const turn = seen.get(categoryOf(item)) ?? 0;
    seen.set(categoryOf(item), turn + 1);
    return { item, turn };
  });
  const first = turns.sort((a, b) => a.turn - b.turn).slice(0, limit);
  const chosen = new Set(first.map(({ item }) => item));
  return items.filter((item) => chosen.has(item));
};
