/** Requests of the stages behind claims (families of sets, hydra, sufficiency, cost), from the wire to the domain. */
import type * as wire from '../../../proto/gen/refusalscope/v1/search.js';
import type { FeatureSimilarity } from '../../../proto/gen/refusalscope/v1/types.js';
import { decodePositions } from '../../../shared/tensors/positions.js';
import { ENUMERATE_DEFAULTS, type EnumerateRequest } from '../stages/enumerate-minimal-sets.js';
import { DEFAULT_ANSWER_TOKENS, type MeasureCostRequest } from '../stages/measure-cost.js';
import { DEFAULT_SUFFICIENCY_DRAWS, type SufficiencyRequest } from '../stages/test-sufficiency.js';
import { HYDRA_DEFAULTS, type TraceHydraRequest } from '../stages/trace-hydra.js';
import { decodeFeature, decodePrompt, decodeRecord, decodeScore } from './shared-types.js';

const decodeSimilarity = ({ feature, cosine }: FeatureSimilarity) => ({ ...decodeFeature(feature), cosine });

export const decodeEnumerate = (request: wire.EnumerateMinimalSetsRequest): EnumerateRequest => ({
  model: request.model,
  prompt: decodePrompt(request.prompt),
  score: decodeScore(request.score),
  candidates: request.candidates.map(decodeSimilarity),
  positions: decodePositions(request.positions),
  maxEvaluations: request.maxEvaluations || ENUMERATE_DEFAULTS.maxEvaluations,
  maxSets: request.maxSets || ENUMERATE_DEFAULTS.maxSets,
  known: request.known.map(decodeRecord),
});

export const decodeTraceHydra = (request: wire.TraceHydraRequest): TraceHydraRequest => ({
  model: request.model,
  cases: request.cases.map(({ prompt, set }) => ({ prompt: decodePrompt(prompt), set: set.map(decodeFeature) })),
  ...(request.strongest && {
    strongest: { count: request.strongest.count, among: request.strongest.among.map(decodeSimilarity) },
  }),
  score: decodeScore(request.score),
  candidates: request.candidates.map(decodeFeature),
  layers: request.layers,
  positions: decodePositions(request.positions),
  minEffect: request.minEffect || HYDRA_DEFAULTS.minEffect,
  level: request.level || HYDRA_DEFAULTS.level,
  maxTested: request.maxTested || HYDRA_DEFAULTS.maxTested,
  maxRounds: request.maxRounds || HYDRA_DEFAULTS.maxRounds,
  nullDraws: request.nullDraws || HYDRA_DEFAULTS.nullDraws,
  seed: request.seed,
  known: request.known.map(decodeRecord),
});

export const decodeSufficiency = (request: wire.TestSufficiencyRequest): SufficiencyRequest => ({
  model: request.model,
  prompt: decodePrompt(request.prompt),
  set: request.set.map(decodeFeature),
  candidates: request.candidates.map(decodeFeature),
  harmless: request.harmless.map(decodePrompt),
  score: decodeScore(request.score),
  positions: decodePositions(request.positions),
  draws: request.draws || DEFAULT_SUFFICIENCY_DRAWS,
  seed: request.seed,
  known: request.known.map(decodeRecord),
});

export const decodeMeasureCost = (request: wire.MeasureCostRequest): MeasureCostRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodePrompt),
  sets: request.sets.map(({ name, features }) => ({ name, features: features.map(decodeFeature) })),
  score: decodeScore(request.score),
  positions: decodePositions(request.positions),
  answerTokens: request.answerTokens || DEFAULT_ANSWER_TOKENS,
  known: request.known.map(decodeRecord),
});
