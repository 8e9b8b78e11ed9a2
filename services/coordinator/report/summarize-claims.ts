/** The numbers of the stages behind claims that a reader wants first. */
import type { StageResults } from '../stages/stage-results.js';
import { tracesOf } from './hydra-traces.js';
import type { ClaimSummary, Hydra } from './report-type.js';

export const summarizeClaims = ({ family, hydra, sufficiency, cost }: StageResults): ClaimSummary => ({
  familiesComplete: family?.complete ?? null,
  depthOfDefence: family?.depthOfDefence ?? null,
  disjointSets: family?.disjointSets ?? null,
  ...summarizeHydra(hydra),
  setsPutBackRefuse: sufficiency?.sets.putBack ?? null,
  writtenIntoHarmless: sufficiency?.sets.harmlessRefused ?? null,
  setsBelowKlBound: cost?.belowBound ?? null,
});

/** Of both traces: each feature once, and the deeper one. */
const summarizeHydra = (hydra: Hydra | undefined): Pick<ClaimSummary, 'hydraDepth' | 'hydraFeatures'> => {
  const traces = hydra === undefined ? [] : tracesOf(hydra);
  if (traces.length === 0) return { hydraDepth: null, hydraFeatures: null };
  const features = traces.flatMap((trace) => trace.features.map(({ feature }) => feature));
  return { hydraDepth: Math.max(...traces.map(({ depth }) => depth)), hydraFeatures: new Set(features).size };
};
