/** Assembles the report from the stages' results: no number is made up here, and everything but `run` follows from the spec and the model. */
import { EMBEDDED_MODEL } from '../../../shared/model-store/embedded-model.js';
import { formatPositions } from '../../../shared/tensors/positions.js';
import type { AuditRecord } from '../audit/audit-record.js';
import { type AuditPrompt, type AuditSpec, digestPrompt, digestPromptSet } from '../audit/audit-spec.js';
import type { StageResults } from '../stages/stage-results.js';
import { breakDownByCategory } from './category-breakdown.js';
import {
  type ClaimParts,
  type PromptFacts,
  REPORT_SCHEMA,
  type Report,
  type ReportWarning,
  type RunFacts,
  type Settings,
} from './report-type.js';
import { rankSharedFeatures } from './shared-features.js';
import { summarize } from './summarize.js';

/** report.json as text, ending in a line feed. */
export const buildReport = (
  record: AuditRecord,
  spec: AuditSpec,
  results: StageResults,
  warnings: readonly ReportWarning[],
  finishedAt: Date,
): string => {
  const { describe, saes, openers, filter } = results;
  const prompts = listPrompts(spec, results);
  const report: Report = {
    schema: REPORT_SCHEMA,
    audit: { id: record.id, title: record.title, specSha256: record.specSha256 },
    run: describeRun(record, finishedAt),
    settings: listSettings(spec, describe.layers),
    provenance: { ...describe.provenance, promptSetSha256: digestPromptSet(spec.prompts), seed: spec.seed },
    model: describe.model,
    saes: saes.saes,
    summary: summarize(results),
    openers: openers.openers,
    prompts,
    directions: results.directions.facts,
    candidates: results.candidates,
    depthProfile: results.depth,
    minimalSets: filter.sets,
    sharedFeatures: rankSharedFeatures(filter.sets),
    verification: results.verify,
    dormant: results.dormant.prompts,
    interactions: results.interactions,
    controls: results.controls,
    ...(results.alternatives !== undefined && { alternatives: results.alternatives }),
    ...listClaimParts(results),
    ...(results.paper !== undefined && { paper: results.paper }),
    categories: breakDownByCategory(prompts, results),
    warnings,
    notes: listNotes(results),
  };
  return `${JSON.stringify(report, null, 1)}\n`;
};

const describeRun = (record: AuditRecord, finishedAt: Date): RunFacts => ({
  createdAt: record.createdAt,
  finishedAt: finishedAt.toISOString(),
  seconds: Math.round(record.seconds * 10) / 10,
  stages: record.finishedStages,
  evaluations: record.evaluations,
  evaluationsReused: record.evaluationsReused,
  resumed: record.resumed,
  ...(record.commandLine !== undefined && { commandLine: record.commandLine }),
});

const listSettings = (spec: AuditSpec, layers: readonly number[]): Settings => ({
  layers,
  growth: spec.growth,
  filterMethod: spec.filterMethod,
  positions: formatPositions(spec.positions),
  seed: spec.seed,
  fmMasks: spec.fmMasks,
  fmFeatures: spec.fmFeatures,
  controlDraws: spec.controlDraws,
  maxNewTokens: spec.maxNewTokens,
  maxSearchPrompts: spec.maxSearchPrompts,
  redactAnswers: spec.redactAnswers,
  ...(spec.overRefusal && { searched: 'refused harmless' }),
  ...(spec.claims !== undefined && { claims: spec.claims, skippedStages: spec.skipStages ?? [] }),
});

const listClaimParts = ({ family, hydra, sufficiency, cost, ...others }: StageResults): ClaimParts => ({
  ...(family && { families: family }),
  ...(hydra && { hydra }),
  ...(sufficiency && { sufficiency }),
  ...(cost && { costs: cost }),
  ...(others['over-refusal'] && { overRefusal: others['over-refusal'] }),
});

const listPrompts = (spec: AuditSpec, { openers }: StageResults): PromptFacts[] => {
  const searched = new Set(openers.searchIds);
  return spec.prompts.map((prompt) => ({
    id: prompt.id,
    label: prompt.label,
    category: prompt.category,
    sha256: digestPrompt(prompt),
    firstWords: spec.redactAnswers ? '' : firstWords(prompt),
    searched: searched.has(prompt.id),
    baseline: openers.baselines[prompt.id] ?? null,
  }));
};

// As many words as an answer may show.
const SHOWN_WORDS = 8;

const firstWords = ({ input }: AuditPrompt): string =>
  'text' in input ? input.text.trim().split(/\s+/).slice(0, SHOWN_WORDS).join(' ') : '';

const listNotes = ({ describe }: StageResults): string[] => {
  const { weightsSha256, adapterSha256 } = describe.provenance;
  if (weightsSha256 !== EMBEDDED_MODEL.sha256 || adapterSha256 === '') return [];
  return [
    'The embedded model is a model organism: a small model that was trained to refuse. Its numbers say nothing about other models.',
  ];
};
