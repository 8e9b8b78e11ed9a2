/** What moved between two finished audits: docs/report.md has the schema. Pure: two reports and their directions in, plain facts out. */
import type { DirectionVector } from '../stages/stage-results.js';
import type { Count, FeatureName, Report, Sha256, Spread } from './report-type.js';

export const COMPARISON_SCHEMA = 'refusalscope.comparison/1';

export interface AuditedSide {
  readonly report: Report;
  /** Each layer's best direction. */
  readonly directions: readonly DirectionVector[];
}

interface BeforeAfter<Value> {
  readonly before: Value;
  readonly after: Value;
}

export interface Comparison {
  readonly schema: typeof COMPARISON_SCHEMA;
  readonly audits: BeforeAfter<{
    readonly id: string;
    readonly title: string;
    readonly model: string;
    readonly weightsSha256: Sha256;
  }>;
  /** Whether both used one prompt set and the same settings; if not, differences may come from there. */
  readonly samePromptSet: boolean;
  readonly sameSettings: boolean;
  readonly harmfulRefused: BeforeAfter<Count>;
  readonly harmlessRefused: BeforeAfter<Count>;
  readonly minimalSetsFound: BeforeAfter<Count>;
  readonly setSize: BeforeAfter<Report['summary']['setSize']>;
  readonly fmR2: BeforeAfter<number | null>;
  /** null where the stage was not run. */
  readonly depthOfDefence: BeforeAfter<Spread | null>;
  /** Features of any minimal set, in the report's order of sharing. Only comparable if the SAE of their layer is the same file. */
  readonly features: {
    readonly gained: readonly FeatureName[];
    readonly lost: readonly FeatureName[];
    readonly kept: readonly FeatureName[];
    readonly layersWithSameSae: readonly number[];
  };
  /** Cosine of the best directions by layer; empty if the widths differ. */
  readonly directionCosines: readonly { readonly layer: number; readonly cosine: number }[];
  /** Prompts that are in both audits, by id. */
  readonly prompts: readonly {
    readonly promptId: string;
    readonly refusalScore: BeforeAfter<number | null>;
    readonly setSize: BeforeAfter<number | null>;
  }[];
}

export const compareReports = (before: AuditedSide, after: AuditedSide): Comparison => {
  const both = <Value>(pick: (report: Report) => Value): BeforeAfter<Value> => ({
    before: pick(before.report),
    after: pick(after.report),
  });
  const same = (pick: (report: Report) => unknown) =>
    JSON.stringify(pick(before.report)) === JSON.stringify(pick(after.report));
  return {
    schema: COMPARISON_SCHEMA,
    audits: both(({ audit, provenance }) => ({
      id: audit.id,
      title: audit.title,
      model: provenance.model,
      weightsSha256: provenance.weightsSha256,
    })),
    samePromptSet: same((report) => report.provenance.promptSetSha256),
    sameSettings: same((report) => report.settings),
    harmfulRefused: both((report) => report.summary.harmfulRefused),
    harmlessRefused: both((report) => report.summary.harmlessRefused),
    minimalSetsFound: both((report) => report.summary.minimalSetsFound),
    setSize: both((report) => report.summary.setSize),
    fmR2: both((report) => report.summary.fmR2),
    depthOfDefence: both((report) => report.summary.claims?.depthOfDefence ?? null),
    features: compareFeatureSets(before.report, after.report),
    directionCosines: compareDirections(before.directions, after.directions),
    prompts: comparePrompts(before.report, after.report),
  };
};

const compareFeatureSets = (before: Report, after: Report): Comparison['features'] => {
  const [old, now] = [before, after].map((report) => report.sharedFeatures.map(({ feature }) => feature)) as [
    string[],
    string[],
  ];
  const [shaBefore, shaAfter] = [before.provenance.saeSha256, after.provenance.saeSha256];
  return {
    gained: now.filter((feature) => !old.includes(feature)),
    lost: old.filter((feature) => !now.includes(feature)),
    kept: old.filter((feature) => now.includes(feature)),
    layersWithSameSae: Object.keys(shaBefore)
      .filter((layer) => shaBefore[layer] === shaAfter[layer])
      .map(Number)
      .sort((a, b) => a - b),
  };
};

const compareDirections = (
  before: readonly DirectionVector[],
  after: readonly DirectionVector[],
): Comparison['directionCosines'] =>
  before.flatMap((old) => {
    const now = after.find((direction) => direction.layer === old.layer);
    const [a, b] = [readVector(old.vector), readVector(now?.vector ?? '')];
    if (now === undefined || a.length !== b.length) return [];
    return [{ layer: old.layer, cosine: a.reduce((sum, value, i) => sum + value * (b[i] as number), 0) }];
  });

/** Both are unit vectors, so their product is the cosine. */
const readVector = (base64: string): Float32Array =>
  new Float32Array(Uint8Array.from(Buffer.from(base64, 'base64')).buffer);

const comparePrompts = (before: Report, after: Report): Comparison['prompts'] => {
  const factsOf = (report: Report, id: string) => ({
    score: report.prompts.find((prompt) => prompt.id === id)?.baseline?.refusalScore ?? null,
    size: report.minimalSets.find((set) => set.promptId === id && set.outcome === 'found')?.members.length ?? null,
  });
  const later = new Set(after.prompts.map((prompt) => prompt.id));
  return before.prompts
    .filter((prompt) => later.has(prompt.id))
    .map(({ id }) => {
      const [old, now] = [factsOf(before, id), factsOf(after, id)];
      return {
        promptId: id,
        refusalScore: { before: old.score, after: now.score },
        setSize: { before: old.size, after: now.size },
      };
    });
};
