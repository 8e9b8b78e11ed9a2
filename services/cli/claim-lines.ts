/** Lines of the summary for the stages behind claims; a stage that was not run has none. */
import { type MadeTrace, tracesOf } from '../coordinator/report/hydra-traces.js';
import type { Count, Report, Spread } from '../coordinator/report/report-type.js';

const SHOWN_FEATURES = 6;
const SHOWN_SETS = 3;

export const formatClaims = (report: Report): string[] => [
  ...formatFamilies(report),
  ...formatHydra(report),
  ...formatSufficiency(report),
  ...formatCosts(report),
  ...formatOverRefusal(report),
];

const rate = ({ count, of }: Count): string => `${count} of ${of}`;

const formatFamilies = ({ families }: Report): string[] => {
  if (families?.depthOfDefence == null || families.disjointSets === null) return [];
  const { examined, complete, depthOfDefence, disjointSets } = families;
  const bounds = complete.count < complete.of ? ' (else lower bounds)' : '';
  return [
    `All sets      depth of defence ${spread(depthOfDefence)}, disjoint sets ${spread(disjointSets)}; ${rate(complete)} families complete${bounds}; ${rate(examined)} prompts with a set`,
  ];
};

const spread = ({ min, median, max }: Spread): string =>
  min === max ? `${min}` : `${min} to ${max}, median ${median}`;

const formatHydra = ({ hydra }: Report): string[] => {
  if (hydra === undefined) return [];
  const traces = tracesOf(hydra);
  if (traces.length === 0) return ['Hydra         not traced: fewer than two prompts'];
  return traces.map((trace) => `Hydra         from ${trace.from}: ${formatTrace(trace)}`);
};

const formatTrace = ({ depth, features, tested, examined }: MadeTrace): string => {
  const named = features.slice(0, SHOWN_FEATURES).map(({ feature, round }) => `${feature} in round ${round}`);
  const found =
    depth === 0 ? 'none' : `${plural(features.length, 'feature')} in ${plural(depth, 'round')} (${named.join(', ')})`;
  return `${found}; ${tested} woke in two or more of ${examined.count} prompts and were tested`;
};

const formatSufficiency = ({ sufficiency }: Report): string[] => {
  if (sufficiency === undefined || sufficiency.prompts.length === 0) return [];
  const { sets, random } = sufficiency;
  return [
    `Sufficiency   refused with all off but the set ${rate(sets.leftOn)} (random sets ${rate(random.leftOn)}); put back ${rate(sets.putBack)} (${rate(random.putBack)}); written into harmless prompts ${rate(sets.harmlessRefused)} (${rate(random.harmlessRefused)})`,
  ];
};

const formatCosts = ({ costs }: Report): string[] => {
  if (costs === undefined || costs.rows.length === 0) return [];
  return [
    `Cost          ${rate(costs.belowBound)} sets keep the mean KL on ${costs.examined.count} harmless prompts at or below ${costs.klBound} nats`,
  ];
};

const formatOverRefusal = ({ overRefusal }: Report): string[] => {
  if (overRefusal === undefined) return [];
  const { refused, sets, features } = overRefusal;
  const outcome = ({ ended, stillRefused }: { ended: Count; stillRefused: Count }) =>
    `ends ${rate(ended)} false refusals, harmful prompts still refused ${rate(stillRefused)}`;
  return [
    `Over-refusal  ${rate(refused)} harmless prompts are refused by score`,
    ...sets.slice(0, SHOWN_SETS).map((set) => `              set ${set.members.join(', ')}: ${outcome(set)}`),
    ...features.slice(0, SHOWN_SETS).map((one) => `              ${one.feature} alone: ${outcome(one)}`),
  ];
};

const plural = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;
