/** Requests of the search service, from the wire to the domain: absent parts named, zeros turned into defaults. */
import type * as wire from '../../../proto/gen/refusalscope/v1/search.js';
import { decodePositions } from '../../../shared/tensors/positions.js';
import type { Filter } from '../filter/filter.js';
import { createGreedyFilter } from '../filter/greedy.js';
import { createGroupFilter } from '../filter/group.js';
import { createPaperFilter, PAPER_DEFAULTS, type PaperOptions } from '../filter/paper.js';
import { ANSWER_TOKENS, type CalibrateRequest, MAX_DEPTH } from '../stages/calibrate-openers.js';
import type { FilterPromptRequest } from '../stages/filter-prompt.js';
import type { FindDirectionsRequest } from '../stages/find-directions.js';
import { DORMANT_DEFAULTS, type FindDormantRequest } from '../stages/find-dormant.js';
import type { MeasureInteractionsRequest } from '../stages/measure-interactions.js';
import type { ProfileDepthRequest } from '../stages/profile-depth.js';
import { DEFAULT_DRAWS, type RunControlsRequest } from '../stages/run-controls.js';
import type { SampleMasksRequest } from '../stages/sample-masks.js';
import { DEFAULT_NEW_TOKENS, type FlipCase, type VerifyFlipsRequest } from '../stages/verify-flips.js';
import {
  decodeDirection,
  decodeFeature,
  decodeFilterName,
  decodeLabelledPrompt,
  decodePrompt,
  decodeRecord,
  decodeScore,
} from './shared-types.js';

export const decodeCalibrate = (request: wire.CalibrateOpenersRequest): CalibrateRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodeLabelledPrompt),
  maxDepth: request.maxDepth || MAX_DEPTH,
  maxNewTokens: request.maxNewTokens || ANSWER_TOKENS,
});

/** The budget is the service's own setting. */
export const decodeFindDirections = (request: wire.FindDirectionsRequest): Omit<FindDirectionsRequest, 'budget'> => ({
  model: request.model,
  prompts: request.prompts.map(decodeLabelledPrompt),
  score: decodeScore(request.score),
  heldOutPerLabel: request.heldOutPerLabel,
  positions: request.positions,
  seed: request.seed,
  known: request.known.map(decodeRecord),
});

export const decodeProfileDepth = (request: wire.ProfileDepthRequest): ProfileDepthRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodePrompt),
  score: decodeScore(request.score),
  candidates: request.candidates.map(decodeFeature),
  positions: decodePositions(request.positions),
  known: request.known.map(decodeRecord),
});

export const decodeFilterPrompt = (request: wire.FilterPromptRequest): FilterPromptRequest => ({
  model: request.model,
  prompt: decodePrompt(request.prompt),
  score: decodeScore(request.score),
  directions: request.directions.map(decodeDirection),
  growth: request.growth,
  positions: decodePositions(request.positions),
  filter: chooseFilter(request),
  known: request.known.map(decodeRecord),
});

function chooseFilter(request: wire.FilterPromptRequest): Filter {
  switch (decodeFilterName(request.method)) {
    case 'group':
      return createGroupFilter();
    case 'greedy':
      return createGreedyFilter();
    case 'paper':
      return createPaperFilter(paperOptions(request));
  }
}

const paperOptions = ({ blockSize, threshold, seeds, seed }: wire.FilterPromptRequest): PaperOptions => ({
  blockSize: blockSize || PAPER_DEFAULTS.blockSize,
  threshold: threshold || PAPER_DEFAULTS.threshold,
  seeds: seeds || PAPER_DEFAULTS.seeds,
  seed,
});

export const decodeFindDormant = (request: wire.FindDormantRequest): FindDormantRequest => ({
  model: request.model,
  prompt: decodePrompt(request.prompt),
  score: decodeScore(request.score),
  set: request.set.map(decodeFeature),
  candidates: request.candidates.map(decodeFeature),
  layers: request.layers,
  positions: decodePositions(request.positions),
  minEffect: request.minEffect || DORMANT_DEFAULTS.minEffect,
  maxTested: request.maxTested || DORMANT_DEFAULTS.maxTested,
  known: request.known.map(decodeRecord),
});

export const decodeSampleMasks = (request: wire.SampleMasksRequest): SampleMasksRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodePrompt),
  score: decodeScore(request.score),
  features: request.features.map(decodeFeature),
  positions: decodePositions(request.positions),
  masks: request.masks.map(({ bits }) => bits),
  paired: request.paired,
  known: request.known.map(decodeRecord),
});

export const decodeMeasureInteractions = (request: wire.MeasureInteractionsRequest): MeasureInteractionsRequest => ({
  model: request.model,
  prompt: decodePrompt(request.prompt),
  score: decodeScore(request.score),
  pairs: request.pairs.map(({ first, second }) => ({ first: decodeFeature(first), second: decodeFeature(second) })),
  positions: decodePositions(request.positions),
  context: request.context.map(decodeFeature),
  known: request.known.map(decodeRecord),
});

const decodeCase = ({ prompt, set, score }: wire.FlipCase): FlipCase => ({
  prompt: decodePrompt(prompt),
  set: set.map(decodeFeature),
  score,
});

export const decodeVerifyFlips = (request: wire.VerifyFlipsRequest): VerifyFlipsRequest => ({
  model: request.model,
  cases: request.cases.map(decodeCase),
  positions: decodePositions(request.positions),
  maxNewTokens: request.maxNewTokens || DEFAULT_NEW_TOKENS,
});

export const decodeRunControls = (request: wire.RunControlsRequest): RunControlsRequest => ({
  model: request.model,
  cases: request.cases.map(decodeCase),
  score: decodeScore(request.score),
  positions: decodePositions(request.positions),
  draws: request.draws || DEFAULT_DRAWS,
  seed: request.seed,
  layers: request.layers,
  direction: request.direction && decodeDirection(request.direction),
  known: request.known.map(decodeRecord),
});
