/** Owns the sentences of the answer that rest on the stages behind claims; each is left out where its stage was not run. */
import type { ClaimSummary, Report, Sufficiency } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, pluralText } from '../../text/number-text.js';
import { rateText } from '../count-text.js';
import { spreadText } from './family.js';

/** undefined: none of these stages was run. */
export function claimAnswer({ summary: { claims }, sufficiency }: Report): Markup | undefined {
  if (claims === undefined) return undefined;
  const sentences = [depthOf(claims), hydraOf(claims), sufficiencyOf(sufficiency), costOf(claims)].filter(
    (sentence) => sentence !== undefined,
  );
  return sentences.length === 0 ? undefined : markup`${sentences.map((sentence) => markup`${sentence} `)}`;
}

const depthOf = ({ depthOfDefence, familiesComplete }: ClaimSummary): Markup | undefined =>
  depthOfDefence === null || familiesComplete === null
    ? undefined
    : markup`Separate defences that each have to fall: <strong>${spreadText(depthOfDefence)}</strong>${familiesComplete.count < familiesComplete.of && markup`, lower bounds in ${countText(familiesComplete.of - familiesComplete.count)} of ${countText(familiesComplete.of)} prompts`}.`;

const hydraOf = ({ hydraDepth, hydraFeatures }: ClaimSummary): Markup | undefined => {
  if (hydraDepth === null || hydraFeatures === null) return undefined;
  if (hydraDepth === 0) return markup`No dormant backup was found.`;
  return markup`Dormant backups that take over once others are off: <strong>${pluralText(hydraFeatures, 'feature')}</strong>, in ${pluralText(hydraDepth, 'round')}.`;
};

const sufficiencyOf = (sufficiency: Sufficiency | undefined): Markup | undefined => {
  if (sufficiency === undefined || sufficiency.sets.putBack.of === 0) return undefined;
  const { sets, random } = sufficiency;
  return markup`Put back alone, with everything else near the direction off, a set brings refusal back in ${rateText(sets.putBack)} (random sets of its size: ${rateText(random.putBack)}).`;
};

const costOf = ({ setsBelowKlBound: below }: ClaimSummary): Markup | undefined =>
  below === null || below.of === 0
    ? undefined
    : markup`${rateText(below)} of the distinct sets leave the first word of harmless answers nearly as it is.`;
