/** The end of an audit on a terminal: what was found in a screenful, every rate with its denominator. */

import type { RankingName } from '../coordinator/report/alternatives-facts.js';
import type { ControlArmName, Count, Report } from '../coordinator/report/report-type.js';
import { formatClaims } from './claim-lines.js';
import { formatSeconds } from './progress-view.js';

const SHOWN_FEATURES = 8;
const SHOWN_PAIRS = 4;

const ARM_NAMES: Record<ControlArmName, string> = {
  randomFeatures: 'random features',
  randomActiveFeatures: 'random active features',
  randomDirections: 'random directions, same norm',
  directionAblation: 'direction ablated at every layer',
};

export const formatSummary = (report: Report): string[] => {
  const { summary, run, model, directions } = report;
  const selected = directions.selected === null ? undefined : directions.tried[directions.selected];
  const size = summary.setSize;
  return [
    `Model         ${model.name}, ${model.nLayers} layers; layers searched ${report.settings.layers.join(', ')}; edits at ${report.settings.positions}`,
    `Refused       ${rate(summary.harmfulRefused)} harmful, ${rate(summary.harmlessRefused)} harmless prompts`,
    `Direction     ${selected === undefined ? 'none selected' : `layer ${selected.layer}, position ${selected.position}: bypass ${fixed(selected.bypassScore)}, induce ${fixed(selected.induceScore)}, KL ${fixed(selected.kl)}`}`,
    `Minimal sets  ${rate(summary.minimalSetsFound)} prompts, ${rate(summary.oneMinimal)} certified 1-minimal${size === null ? '' : `; sizes ${size.min} to ${size.max}, median ${size.median}`}`,
    `By text       ${rate(summary.flipsConfirmedByText)} judged answers comply under their set; score and text agree on ${rate(summary.scoreTextAgreement)}`,
    `Features      ${formatFeatures(report)}`,
    `Dormant       ${rate(summary.setsWithDormantMembers)} sets have a member that is silent on the clean prompt`,
    ...formatInteractions(report),
    ...formatClaims(report),
    `Controls      ${summary.controlFlips.map(({ arm, flips }) => `${ARM_NAMES[arm]} flip ${rate(flips)}`).join('; ') || 'none were run'}`,
    ...formatAlternatives(report),
    ...formatLengths(report),
    `Work          ${run.evaluations} evaluations (${run.evaluationsReused} reused) in ${formatSeconds(run.seconds)}`,
    ...report.warnings.map(({ text }) => `Warning       ${text}`),
    ...report.notes.map((note) => `Note          ${note}`),
  ];
};

const RANKINGS: Record<RankingName, string> = {
  sharedFeatures: 'most shared',
  cosine: 'cosine',
  activationDifference: 'activation difference',
  probeWeight: 'probe weight',
  randomActive: 'random active',
};

/** Only what it takes to flip half: the curves are in the report. */
const formatAlternatives = ({ alternatives }: Report): string[] => {
  if (alternatives === undefined || alternatives.prompts === 0) return [];
  const { prompts, minimalSets, rankings } = alternatives;
  const half = (features: number | null) => features ?? 'never';
  const others = rankings.map(({ ranking, flipsHalfAt }) => `${RANKINGS[ranking]} ${half(flipsHalfAt)}`).join(', ');
  return [
    `Alternatives  features off to flip half of ${prompts} prompts: minimal sets ${half(minimalSets.flipsHalfAt)}, ${others}`,
  ];
};

const formatLengths = ({ openers, verification }: Report): string[] => {
  const parts = [
    { name: 'clean answers', lengths: openers.byLength ?? [] },
    { name: 'under the sets', lengths: verification.byLength ?? [] },
  ].flatMap(({ name, lengths }) => {
    const [first, last] = [lengths[0], lengths.at(-1)];
    if (first === undefined || last === undefined) return [];
    return `${name} ${rate(first.agreement)} at ${first.tokens} tokens, ${rate(last.agreement)} at ${last.tokens}`;
  });
  return parts.length === 0 ? [] : [`By length     score and text agree: ${parts.join('; ')}`];
};

const rate = ({ count, of }: Count): string => `${count} of ${of}`;
const fixed = (value: number | null): string => value?.toFixed(2) ?? 'not measured';

const formatFeatures = ({ sharedFeatures }: Report): string =>
  sharedFeatures
    .slice(0, SHOWN_FEATURES)
    .map(({ feature, sets }) => `${feature} in ${sets.count}`)
    .join(', ') || 'none';

const MODEL_NAMES = {
  linear: 'linear model',
  factorizationMachine: 'factorization machine',
  allPairs: 'all-pairs lasso',
  boostedTrees: 'boosted trees',
} as const;

const formatInteractions = ({ summary, interactions }: Report): string[] => {
  if (summary.fmR2 === null) return [];
  const linear = summary.linearR2 === null ? '' : `, linear model ${fixed(summary.linearR2)}`;
  const pairs = interactions.confirmed
    .slice(0, SHOWN_PAIRS)
    .map(
      ({ first, second, predicted, measured }) =>
        `${first} x ${second} ${fixed(predicted)} (measured ${fixed(measured)})`,
    );
  const masks = interactions.masks;
  const own = masks === null ? null : masks[masks.pairsFrom];
  const from =
    masks === null || masks.pairsFrom === 'factorizationMachine'
      ? ''
      : `; pairs by ${MODEL_NAMES[masks.pairsFrom]} ${fixed(own?.r2 ?? null)}`;
  return [
    `Interactions  held-out R2 ${fixed(summary.fmR2)}${linear}${from}`,
    ...pairs.map((pair) => `              ${pair}`),
  ];
};
