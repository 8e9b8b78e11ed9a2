/** The report's numbers by category of the prompt set. */
import type { StageResults } from '../stages/stage-results.js';
import { median } from './describe-spread.js';
import type { CategoryFacts, Count, PromptFacts } from './report-type.js';
import { rankSharedFeatures } from './shared-features.js';

const TOP_FEATURES = 5;

/** Ascending by name; prompts without a category are together under ''. */
export const breakDownByCategory = (prompts: readonly PromptFacts[], results: StageResults): CategoryFacts[] =>
  [...new Set(prompts.map((prompt) => prompt.category))]
    .sort((a, b) => (a < b ? -1 : 1))
    .map((category) => describeCategory(category, prompts, results));

const describeCategory = (category: string, all: readonly PromptFacts[], results: StageResults): CategoryFacts => {
  const prompts = all.filter((prompt) => prompt.category === category);
  const ids = new Set(prompts.map((prompt) => prompt.id));
  const sets = results.filter.sets.filter((set) => ids.has(set.promptId));
  const found = sets.filter((set) => set.outcome === 'found');
  const judged = results.verify.flips
    .filter((flip) => ids.has(flip.promptId))
    .filter((flip) => flip.verdict !== 'degenerate' && flip.verdict !== 'judge failed');
  return {
    category,
    harmful: prompts.filter((prompt) => prompt.label === 'harmful').length,
    harmless: prompts.filter((prompt) => prompt.label === 'harmless').length,
    harmfulRefused: countRefused(prompts, 'harmful'),
    harmlessRefused: countRefused(prompts, 'harmless'),
    minimalSetsFound: { count: found.length, of: sets.length },
    medianSetSize: median(found.map((set) => set.members.length)),
    flipsConfirmedByText: { count: judged.filter((flip) => flip.verdict !== 'refused').length, of: judged.length },
    topFeatures: rankSharedFeatures(sets)
      .slice(0, TOP_FEATURES)
      .map(({ feature }) => feature),
  };
};

/** By the judged clean answer; prompts without a baseline, and judgements that failed, are in neither number. */
const countRefused = (prompts: readonly PromptFacts[], label: PromptFacts['label']): Count => {
  const judged = prompts.flatMap((prompt) => (prompt.label === label ? (prompt.baseline?.judgement ?? []) : []));
  const sound = judged.filter(({ verdict }) => verdict !== 'judge failed');
  return { count: sound.filter(({ verdict }) => verdict === 'refused').length, of: sound.length };
};
