/** The sample report that the tests render, fresh for each caller. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../../../services/coordinator/report/report-type.js';
import { projectRoot } from '../../../shared/project/root.js';

const TEXT = readFileSync(join(projectRoot, 'test/fixtures/console/report.json'), 'utf8');

export const sampleReport = (): Report => JSON.parse(TEXT) as Report;

/** A copy with every text replaced; numbers, keys and the schema stay. */
export function withTexts(report: Report, replace: (text: string) => string): Report {
  const walk = (value: unknown): unknown => {
    if (typeof value === 'string') return replace(value);
    if (Array.isArray(value)) return value.map(walk);
    if (value !== null && typeof value === 'object')
      return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, walk(inner)]));
    return value;
  };
  return { ...(walk(report) as Report), schema: report.schema };
}

/** A report of an audit that found nothing at all: every list empty, every optional number absent. */
export function emptyReport(): Report {
  const report = sampleReport();
  const none = { count: 0, of: 0 };
  return {
    ...report,
    summary: {
      ...report.summary,
      harmfulRefused: none,
      harmlessRefused: none,
      minimalSetsFound: none,
      noFlip: none,
      oneMinimal: none,
      setSize: null,
      flipsConfirmedByText: none,
      setsWithDormantMembers: none,
      distinctFeatures: 0,
      fmR2: null,
      linearR2: null,
      controlFlips: [],
      firstFlippingLayer: null,
    },
    saes: [],
    prompts: [],
    directions: { ...report.directions, tried: [], selected: null, bestByLayer: [] },
    candidates: { perLayer: 0, features: [] },
    depthProfile: { candidatesPerLayer: 0, layers: [] },
    minimalSets: [],
    sharedFeatures: [],
    verification: {
      flips: [],
      complied: 0,
      refused: 0,
      partial: 0,
      degenerate: 0,
      judgeFailed: 0,
      total: 0,
      agreement: none,
    },
    dormant: [],
    interactions: { features: [], masks: null, activations: null, confirmed: [] },
    controls: {
      minimalSets: { flips: none, meanScoreChange: 0, didNotAct: 0 },
      randomFeatures: null,
      randomActiveFeatures: null,
      randomDirections: null,
      directionAblation: null,
    },
    alternatives: {
      prompts: 0,
      minimalSets: { points: [], flipsHalfAt: null },
      rankings: [],
      directionAblation: null,
      rankedOn: { harmful: 0, harmless: 0 },
      probeAccuracy: none,
    },
    categories: [],
    warnings: [],
    notes: [],
  };
}
