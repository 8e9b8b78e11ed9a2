/**
 * The schema of report.json, from which report-schema.json is written (npm run generate:report-schema). The types below must agree with
 * report-type.ts in both directions, or the project does not compile. Prevents: a report that its own schema refuses.
 */
import { z } from 'zod';
import { alternativesSchema } from './alternatives-schema.js';
import { claimParts, claimSettings, claimSummary } from './claim-schema.js';
import { byLengthSchema } from './length-schema.js';
import { paperSchema } from './paper-schema.js';
import { REPORT_SCHEMA, type Report } from './report-type.js';

const text = z.string();
const number = z.number();
const whole = z.int().nonnegative();
const feature = z.string().regex(/^\d+\/\d+$/);
// Digests come from the services as they are; peers in tests use short ones.
const digest = z.string();
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();
const byName = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value).readonly();
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).readonly();

const count = object({ count: whole, of: whole });
const method = z.enum(['group', 'greedy', 'paper']);
const label = z.enum(['harmful', 'harmless']);

const judgement = {
  verdict: z.enum(['complied', 'refused', 'partial', 'degenerate', 'judge failed']),
  answerSha256: digest,
  firstWords: text,
  answerTokens: whole,
  rule: text,
};

const proof = list(
  object({ layer: whole, deltaNorm: number, activeEdits: whole, activePairs: whole, residualNorm: number }),
);

const run = object({
  createdAt: text,
  finishedAt: text,
  seconds: number,
  stages: list(object({ stage: text, seconds: number, evaluations: whole })),
  evaluations: whole,
  evaluationsReused: whole,
  resumed: whole,
  commandLine: text.optional(),
});

const settings = object({
  layers: list(whole),
  growth: list(whole),
  filterMethod: method,
  positions: text,
  seed: whole,
  fmMasks: whole,
  fmFeatures: whole,
  controlDraws: whole,
  maxNewTokens: whole,
  maxSearchPrompts: whole,
  redactAnswers: z.boolean(),
  searched: z.literal('refused harmless').optional(),
  claims: claimSettings.optional(),
  skippedStages: list(text).optional(),
});

const provenance = object({
  model: text,
  weightsSha256: digest,
  adapterSha256: digest,
  tokenizerSha256: digest,
  chatTemplateSha256: digest,
  computeDtype: text,
  device: text,
  saeSha256: byName(digest),
  versions: byName(text),
  promptSetSha256: digest,
  seed: whole,
});

const model = object({
  name: text,
  architecture: text,
  nLayers: whole,
  dModel: whole,
  vocabSize: whole,
  templateSuffixLength: whole,
});

const sae = object({
  layer: whole,
  dSae: whole,
  architecture: text,
  format: text,
  sha256: digest,
  editsExact: z.boolean(),
  editsNote: text,
  searched: z.boolean(),
  admission: object({
    verdict: z.enum(['verified', 'unverified', 'not measured']),
    fvu: number,
    l0: number,
    deadShare: number,
    rows: whole,
    publishedL0: number.nullable(),
    reason: text,
  }),
});

const sizes = object({ min: whole, median: number, mean: number, max: whole });
const armName = z.enum(['randomFeatures', 'randomActiveFeatures', 'randomDirections', 'directionAblation']);

const summary = object({
  harmfulRefused: count,
  harmlessRefused: count,
  minimalSetsFound: count,
  noFlip: count,
  oneMinimal: count,
  setSize: sizes.nullable(),
  flipsConfirmedByText: count,
  scoreTextAgreement: count,
  setsWithDormantMembers: count,
  distinctFeatures: whole,
  fmR2: number.nullable(),
  linearR2: number.nullable(),
  controlFlips: z.array(object({ arm: armName, flips: count })),
  firstFlippingLayer: whole.nullable(),
  claims: claimSummary.optional(),
});

const openers = object({
  texts: list(text),
  tokenIds: list(list(whole)),
  firstTokenIds: list(whole),
  iTokenId: whole,
  calibrated: z.boolean(),
  harmfulRefused: count,
  harmlessRefused: count,
  scoreTextAgreement: count,
  byLength: byLengthSchema.optional(),
});

const prompt = object({
  id: text,
  label,
  category: text,
  sha256: digest,
  firstWords: text,
  searched: z.boolean(),
  baseline: object({
    refusalScore: number,
    firstTokenScore: number,
    pI: number,
    judgement: object(judgement).nullable(),
  }).nullable(),
});

const directions = object({
  tried: list(
    object({
      layer: whole,
      position: z.int(),
      bypassScore: number.nullable(),
      induceScore: number.nullable(),
      kl: number.nullable(),
      rawNorm: number,
      rejected: list(text),
    }),
  ),
  selected: whole.nullable(),
  bestByLayer: list(whole),
  harmfulFit: whole,
  harmlessFit: whole,
  harmfulHeldOut: whole,
  harmlessHeldOut: whole,
  dropped: whole,
});

const candidates = object({
  perLayer: whole,
  features: list(object({ feature, layer: whole, cosine: number })),
});

const depthProfile = object({
  candidatesPerLayer: whole,
  layers: list(
    object({
      layer: whole,
      flipsAlone: count,
      flipsUpTo: count,
      flipsFrom: count,
      meanScoreAlone: number,
      meanScoreUpTo: number,
      meanScoreFrom: number,
    }),
  ),
});

const minimalSet = object({
  promptId: text,
  category: text,
  outcome: z.enum(['found', 'no flip', 'not refused']),
  method,
  members: list(
    object({ feature, cosine: number, cleanActivation: number, restoredScore: number, aloneScore: number }),
  ),
  cleanScore: number,
  allOffScore: number,
  setScore: number.nullable(),
  candidatesPerLayer: whole,
  tried: list(whole),
  oneMinimal: z.boolean(),
  evaluations: whole,
  path: list(object({ featuresOff: whole, score: number, flipped: z.boolean(), action: text })),
  proof,
});

const sharedFeature = object({
  feature,
  layer: whole,
  sets: count,
  promptIds: list(text),
  categories: byName(whole),
  meanRestoredScore: number,
  meanCleanActivation: number,
  cosine: number,
});

const verification = object({
  flips: list(object({ promptId: text, ...judgement, proof })),
  complied: whole,
  refused: whole,
  partial: whole,
  degenerate: whole,
  judgeFailed: whole,
  total: whole,
  agreement: count,
  byLength: byLengthSchema.optional(),
});

const dormant = object({
  promptId: text,
  dormantMembers: list(feature),
  woken: list(
    object({
      feature,
      activation: number,
      position: whole,
      positionKind: text,
      setScore: number,
      setAndFeatureScore: number,
      intactEffect: number,
      conditionalEffect: number,
    }),
  ),
  tested: count,
});

const metrics = object({
  r2: number.nullable(),
  rmse: number.nullable(),
  accuracy: number.nullable(),
  logLoss: number.nullable(),
  signAgreement: number.nullable(),
  validationLoss: number.nullable(),
});

const fitModel = z.enum(['linear', 'factorizationMachine', 'allPairs', 'boostedTrees']);

const fit = object({
  rank: whole,
  trainRows: whole,
  validationRows: whole,
  testRows: whole,
  epochs: whole,
  factorizationMachine: metrics,
  linear: metrics,
  allPairs: metrics.nullable(),
  boostedTrees: metrics.nullable(),
  chosen: fitModel,
  pairsFrom: fitModel,
  intercept: number,
  mainEffects: list(number),
  pairs: list(object({ first: feature, second: feature, effect: number })),
});

const interactions = object({
  features: list(feature),
  masks: fit.nullable(),
  activations: fit.nullable(),
  confirmed: list(
    object({
      first: feature,
      second: feature,
      predicted: number,
      measured: number,
      prompts: list(
        object({
          promptId: text,
          neither: number,
          firstOff: number,
          secondOff: number,
          bothOff: number,
          interaction: number,
        }),
      ),
    }),
  ),
});

const arm = object({ flips: count, meanScoreChange: number, didNotAct: whole });

const controls = object({
  minimalSets: arm,
  randomFeatures: arm.nullable(),
  randomActiveFeatures: arm.nullable(),
  randomDirections: arm.nullable(),
  directionAblation: arm.nullable(),
});

const category = object({
  category: text,
  harmful: whole,
  harmless: whole,
  harmfulRefused: count,
  harmlessRefused: count,
  minimalSetsFound: count,
  medianSetSize: number.nullable(),
  flipsConfirmedByText: count,
  topFeatures: list(feature),
});

export const reportSchema = object({
  schema: z.literal(REPORT_SCHEMA),
  audit: object({ id: text, title: text, specSha256: digest }),
  run,
  settings,
  provenance,
  model,
  saes: list(sae),
  summary,
  openers,
  prompts: list(prompt),
  directions,
  candidates,
  depthProfile,
  minimalSets: list(minimalSet),
  sharedFeatures: list(sharedFeature),
  verification,
  dormant: list(dormant),
  interactions,
  controls,
  alternatives: alternativesSchema.optional(),
  ...claimParts,
  paper: paperSchema.optional(),
  categories: list(category),
  warnings: list(object({ code: text, text })),
  notes: list(text),
});

/** Fails to compile when schema and type disagree on a field. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;
export const schemaMatchesType: Same<z.infer<typeof reportSchema>, Report> = true;

export const reportJsonSchema = (): string => `${JSON.stringify(z.toJSONSchema(reportSchema))}\n`;
