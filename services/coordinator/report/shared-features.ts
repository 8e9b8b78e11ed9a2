/** Which features the minimal sets have in common. */
import { parseFeature } from '../../../shared/tensors/feature-name.js';
import type { MinimalSetFacts, SharedFeature } from './report-type.js';

type Member = MinimalSetFacts['members'][number];

/** Every feature of any minimal set, by the number of sets it is in; ties by layer and index. */
export const rankSharedFeatures = (sets: readonly MinimalSetFacts[]): SharedFeature[] => {
  const found = sets.filter((set) => set.outcome === 'found');
  const uses = new Map<string, { set: MinimalSetFacts; member: Member }[]>();
  for (const set of found) {
    for (const member of set.members) uses.set(member.feature, [...(uses.get(member.feature) ?? []), { set, member }]);
  }
  return [...uses]
    .map(([feature, of]) => describeFeature(feature, of, found.length))
    .sort((a, b) => b.sets.count - a.sets.count || compareNames(a.feature, b.feature));
};

const describeFeature = (
  feature: string,
  uses: readonly { set: MinimalSetFacts; member: Member }[],
  sets: number,
): SharedFeature => {
  const mean = (pick: (member: Member) => number) =>
    uses.reduce((total, { member }) => total + pick(member), 0) / uses.length;
  const categories: Record<string, number> = {};
  for (const { set } of uses) categories[set.category] = (categories[set.category] ?? 0) + 1;
  return {
    feature,
    layer: parseFeature(feature).layer,
    sets: { count: uses.length, of: sets },
    promptIds: uses.map(({ set }) => set.promptId),
    categories,
    meanRestoredScore: mean((member) => member.restoredScore),
    meanCleanActivation: mean((member) => member.cleanActivation),
    cosine: mean((member) => member.cosine),
  };
};

const compareNames = (a: string, b: string): number => {
  const [first, second] = [parseFeature(a), parseFeature(b)];
  return first.layer - second.layer || first.index - second.index;
};
