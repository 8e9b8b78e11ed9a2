/** The numbers of the stages behind claims that a reader wants first. */
import type { StageResults } from '../stages/stage-results.js';
import type { ClaimSummary } from './report-type.js';

export const summarizeClaims = ({ family, hydra, sufficiency, cost }: StageResults): ClaimSummary => ({
  familiesComplete: family?.complete ?? null,
  depthOfDefence: family?.depthOfDefence ?? null,
  disjointSets: family?.disjointSets ?? null,
  hydraDepth: hydra?.depth ?? null,
  hydraFeatures: hydra === undefined || hydra.depth === null ? null : hydra.features.length,
  setsPutBackRefuse: sufficiency?.sets.putBack ?? null,
  writtenIntoHarmless: sufficiency?.sets.harmlessRefused ?? null,
  setsBelowKlBound: cost?.belowBound ?? null,
});
