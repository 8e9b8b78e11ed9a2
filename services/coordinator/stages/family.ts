/**
 * Stage "family": all minimal sets of each prompt among the candidates at which it flipped, as far as the budget reaches. One set says what
 * is enough to break a refusal; the family says what every way needs, and how many separate defences each have to fall.
 */
import type { MinimalSetFamily } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { decodeFamily } from '../peers/claims-from-wire.js';
import { drainCall } from '../peers/drain-call.js';
import { present } from '../peers/from-wire.js';
import { encodeCandidates, encodePrompt, encodeScore } from '../peers/to-wire.js';
import { describeSpread } from '../report/describe-spread.js';
import type { Families, FamilyFacts } from '../report/report-type.js';
import { chooseCases, createCandidateRanks } from './claim-cases.js';
import type { Stage } from './stage.js';

export const familyStage: Stage<'family'> = {
  name: 'family',
  async run(context, earlier) {
    const { spec, peers } = context;
    const { settings, prompts, byId, examined } = chooseCases(spec, earlier);
    const candidatesAt = createCandidateRanks(context, earlier);
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      positions: encodePositions(spec.positions),
      maxEvaluations: settings.familyEvaluations,
      maxSets: settings.familySets,
    };
    const families = await context.forEachPrompt(prompts, async (prompt, call) => {
      const { candidatesPerLayer } = present(byId.get(prompt.id), 'a prompt with its set').set;
      const { features } = await candidatesAt(candidatesPerLayer);
      const own = { ...request, prompt: encodePrompt(prompt), candidates: encodeCandidates(features) };
      const found = await drainCall<MinimalSetFamily>(call, (known, options) =>
        peers.search.enumerateMinimalSets({ ...own, known }, options),
      );
      return decodeFamily(found, { promptId: prompt.id, candidates: features.length, candidatesPerLayer });
    });
    return { examined, ...describeFamilies(families), prompts: families };
  },
  summarize: ({ examined, complete, depthOfDefence }) => {
    const depth = depthOfDefence === null ? '' : `; depth of defence ${depthOfDefence.min} to ${depthOfDefence.max}`;
    return `${complete.count} of ${complete.of} families are complete (${examined.of} prompts have a set)${depth}`;
  },
};

/** The numbers a model: over its prompts. */
export const describeFamilies = (
  families: readonly FamilyFacts[],
): Pick<Families, 'complete' | 'depthOfDefence' | 'disjointSets' | 'necessary'> => {
  const found = families.filter(({ outcome }) => outcome === 'found');
  const prompts = new Map<string, number>();
  for (const feature of found.flatMap(({ necessary }) => necessary))
    prompts.set(feature, (prompts.get(feature) ?? 0) + 1);
  return {
    complete: { count: found.filter(({ complete }) => complete).length, of: families.length },
    depthOfDefence: describeSpread(found.map(({ depthOfDefence }) => depthOfDefence)),
    disjointSets: describeSpread(found.map(({ disjointSets }) => disjointSets)),
    necessary: [...prompts]
      .sort(([a, first], [b, second]) => second - first || (a < b ? -1 : 1))
      .map(([feature, count]) => ({ feature, prompts: { count, of: found.length } })),
  };
};
