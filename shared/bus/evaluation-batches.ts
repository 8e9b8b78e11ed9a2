/**
 * Cuts a request into work items and numbers results back. An item holds evaluations of few prompts, so that a pod shares the states of
 * those prompts, and nothing that depends on who asks or on the rest of the request: the same evaluations make the same item.
 */
import type { EvaluationWork } from '../../proto/gen/refusalscope/v1/bus.js';
import type { EvaluateMasksRequest } from '../../proto/gen/refusalscope/v1/inference.js';
import { Prompt } from '../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../errors/fault.js';

export interface EvaluationBatch {
  readonly work: EvaluationWork;
  /** For each evaluation of the item, its place in the request. */
  readonly places: readonly number[];
}

export interface CutOptions {
  readonly bankSha256: string;
  readonly modelDigest: string;
  /** Evaluations an item, at most. */
  readonly size: number;
}

// Leaves room for masks and openers below MAX_MESSAGE_BYTES.
const MAX_PROMPT_BYTES = 512 * 1024;

/** @throws REQUEST_INVALID for a prompt index outside the request */
export const cutIntoBatches = (request: EvaluateMasksRequest, options: CutOptions): EvaluationBatch[] => {
  const promptBytes = request.prompts.map((prompt) => Prompt.encode(prompt).finish().length);
  const batches: EvaluationBatch[] = [];
  let places: number[] = [];
  let bytes = 0;
  const close = (): void => {
    if (places.length > 0) batches.push(toBatch(request, places, options));
    places = [];
    bytes = 0;
  };
  for (const group of groupByPrompt(request)) {
    const own = promptBytes[request.evaluations[group[0]!]!.promptIndex]!;
    if (bytes + own > MAX_PROMPT_BYTES) close();
    // A group that fits into one item is not split over two.
    if (places.length > 0 && places.length + group.length > options.size) close();
    bytes += own;
    for (const place of group) {
      if (places.length === options.size) {
        close();
        bytes = own;
      }
      places.push(place);
    }
  }
  close();
  return batches;
};

/** Places in the request, one list a prompt, in the order of the prompts' first evaluations. */
const groupByPrompt = (request: EvaluateMasksRequest): Iterable<number[]> => {
  const groups = new Map<number, number[]>();
  for (const [place, { promptIndex }] of request.evaluations.entries()) {
    if (promptIndex >= request.prompts.length) throw unknownPrompt(place, promptIndex, request.prompts.length);
    const group = groups.get(promptIndex) ?? [];
    group.push(place);
    groups.set(promptIndex, group);
  }
  return groups.values();
};

const toBatch = (request: EvaluateMasksRequest, places: readonly number[], options: CutOptions): EvaluationBatch => {
  const evaluations = places.map((place) => request.evaluations[place]!);
  const used = [...new Set(evaluations.map(({ promptIndex }) => promptIndex))];
  const work: EvaluationWork = {
    model: request.model,
    modelDigest: options.modelDigest,
    prompts: used.map((index) => request.prompts[index]!),
    bankSha256: options.bankSha256,
    score: request.score,
    evaluations: evaluations.map(({ promptIndex, mask }) => ({ promptIndex: used.indexOf(promptIndex), mask })),
    firstTokenKl: request.firstTokenKl,
  };
  return { work, places };
};

const unknownPrompt = (place: number, index: number, count: number): Error =>
  fault('REQUEST_INVALID', `Evaluation ${place} names prompt ${index}; the request has ${count} prompts.`);
