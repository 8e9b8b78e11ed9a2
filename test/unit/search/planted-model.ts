/**
 * A model and SAEs whose mechanism is known, behind the search's own ports. A residual simply holds the activations of its layer's
 * features, and the refusal score is a plain function of which features are off, so that every stage can be checked against truth.
 */

import { type Bank, createBank } from '../../../services/search/model/bank.js';
import type { EvaluationRecord } from '../../../services/search/model/evaluator.js';
import type {
  Answer,
  AnsweredEvaluation,
  CapturedPrompt,
  CaptureRequest,
  Evaluation,
  EvaluationBatch,
  GenerateRequest,
  ModelFacts,
  Prompt,
  RefusalModel,
  TokenizedPrompt,
} from '../../../services/search/model/model-port.js';
import type { SaeSource } from '../../../services/search/model/sae-port.js';
import type { SearchContext, StageProgress } from '../../../services/search/model/scoring.js';
import { fault } from '../../../shared/errors/fault.js';
import { compareFeatures, type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';

export type IsOff = (feature: string) => boolean;

export interface Mechanism {
  /** Log-odds of refusing. */
  score(prompt: string, isOff: IsOff): number;
  /** Activation of a feature, the same at every position from the instruction on; its own state does not count. */
  activation(prompt: string, feature: string, isOff: IsOff): number;
  cosine(feature: string): number;
  answer?(prompt: string, isOff: IsOff): string;
}

export const PLANTED_WIDTH = 40;
export const INSTRUCTION: Positions = { span: 'instruction', start: 0, end: 0, includeBos: false };
export const SCORE_SPEC = { openers: [[57, 5]], firstTokenIds: [57], iTokenId: 57 };
export const textPrompt = (id: string): Prompt => ({ id, input: { kind: 'text', text: `question ${id}` } });

/** BOS, one template token, three of instruction, one template token. The second id tells prompts apart. */
const tokensOf = (prompt: Prompt): TokenizedPrompt => {
  const text = prompt.input.kind === 'text' ? prompt.input.text : prompt.input.ids.join();
  const own = [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 40_000, 7);
  return { tokenIds: [1, 9, 200, 201, own, 2], instructionStart: 2, instructionEnd: 5 };
};

/** A token a word; an apostrophe starts one of its own. */
export const tokenOf = (piece: string): number =>
  [...piece].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 40_000, 3);

export interface PlantedModel extends RefusalModel {
  /** Every mask that the model was asked, as "prompt:names". */
  readonly asked: string[];
  readonly batches: number[];
  mostInFlight(): number;
}

export interface PlantedOptions {
  readonly layers: readonly number[];
  readonly mechanism: Mechanism;
  readonly limits?: Partial<ModelFacts['limits']>;
  /** Called before each batch of results: throw to fail, abort to cancel. */
  readonly beforeResults?: (batch: number) => void | Promise<void>;
}

const isOffOf = (bank: Bank, on: readonly number[]): IsOff => {
  const names = new Set(on.map((edit) => bank.names[edit]!));
  return (feature) => names.has(feature);
};

export function createPlantedModel(options: PlantedOptions): PlantedModel {
  const { mechanism } = options;
  const asked: string[] = [];
  const batches: number[] = [];
  let inFlight = 0;
  let mostInFlight = 0;

  const evaluateOne = (batch: EvaluationBatch, index: number): AnsweredEvaluation => {
    const { prompt, on } = batch.evaluations[index]!;
    const { id } = batch.prompts[prompt]!;
    const isOff = isOffOf(batch.bank, on);
    const names = on.map((edit) => batch.bank.names[edit]!).sort();
    asked.push(`${id}:${names.join('+')}`);
    const acting = names.filter((name) => mechanism.activation(id, name, isOff) > 0);
    const refusalScore = mechanism.score(id, isOff);
    const evaluation: Evaluation = {
      refusalScore,
      firstTokenScore: refusalScore + 1,
      pI: 1 / (1 + Math.exp(-refusalScore)),
      firstTokenKl: batch.firstTokenKl ? 0.01 * acting.length : undefined,
      acted: acting.length > 0,
      proof:
        acting.length === 0
          ? []
          : [
              {
                layer: 0,
                deltaNorm: acting.length,
                activeEdits: acting.length,
                activePairs: acting.length,
                residualNorm: 10,
              },
            ],
    };
    return { index, evaluation, tokenBlocks: names.length === 0 || acting.length > 0 ? 60 : 0 };
  };

  const residualAt = (id: string, layer: number, isOff: IsOff, ownOff: IsOff): Float32Array =>
    Float32Array.from({ length: PLANTED_WIDTH }, (_, index) => {
      const name = formatFeature({ layer, index });
      return ownOff(name) ? 0 : mechanism.activation(id, name, isOff);
    });

  return {
    asked,
    batches,
    mostInFlight: () => mostInFlight,
    describe: async (model) => {
      if (model !== '' && model !== 'planted') throw fault('MODEL_UNKNOWN', `planted is served here, not ${model}`);
      return {
        model: 'planted',
        nLayers: 10,
        dModel: PLANTED_WIDTH,
        templateSuffixLength: 1,
        digest: 'planted-1',
        limits: { maxPrompts: 64, maxEvaluations: 4096, maxBankEdits: 65_536, maxNewTokens: 256, ...options.limits },
      };
    },
    tokenize: async (prompts, pieces) => ({
      prompts: prompts.map(tokensOf),
      pieces: pieces.map((piece) => {
        const tokenTexts = piece.split(/(?=[ '])/);
        return { tokenIds: tokenTexts.map(tokenOf), tokenTexts };
      }),
    }),
    evaluate: async function* (batch) {
      inFlight++;
      mostInFlight = Math.max(mostInFlight, inFlight);
      try {
        batches.push(batch.evaluations.length);
        const number = batches.length;
        await new Promise((resolve) => setImmediate(resolve));
        const middle = Math.ceil(batch.evaluations.length / 2);
        const indices = batch.evaluations.map((_, i) => i);
        yield indices.slice(0, middle).map((index) => evaluateOne(batch, index));
        await options.beforeResults?.(number);
        // The rest backwards: results may come in any order.
        yield indices
          .slice(middle)
          .reverse()
          .map((index) => evaluateOne(batch, index));
      } finally {
        inFlight--;
      }
    },
    capture: async function* (request: CaptureRequest): AsyncIterable<CapturedPrompt> {
      const isOff = request.edits ? isOffOf(request.edits.bank, request.edits.on) : () => false;
      for (const [promptIndex, prompt] of request.prompts.entries()) {
        const { tokenIds, instructionStart } = tokensOf(prompt);
        const all = request.positions.length === 0 ? tokenIds.map((_, i) => i) : request.positions;
        const positions = all.map((position) => (position < 0 ? tokenIds.length + position : position));
        const residuals = new Map(
          request.layers.map((layer) => {
            const row = residualAt(prompt.id, layer, isOff, isOff);
            const data = new Float32Array(positions.length * PLANTED_WIDTH);
            for (const [i, position] of positions.entries())
              if (position >= instructionStart) data.set(row, i * PLANTED_WIDTH);
            return [layer, { rows: positions.length, cols: PLANTED_WIDTH, data }] as const;
          }),
        );
        yield { promptIndex, positions, residuals, proof: [] };
      }
    },
    crossEntropy: async ({ prompts, edits }) => prompts.map(() => 2 + 0.1 * (edits?.on.length ?? 0)),
    generate: async ({ prompts, edits }: GenerateRequest): Promise<Answer[]> =>
      prompts.map(({ id }, i) => {
        const isOff = edits ? isOffOf(edits.bank, edits.on[i] ?? []) : () => false;
        const text =
          mechanism.answer?.(id, isOff) ??
          (mechanism.score(id, isOff) > 0 ? "I'm sorry, but I can't help with that." : 'Sure, here is a plan for you.');
        const pieces = text.split(/(?=[ '])/);
        return { tokenIds: pieces.map(tokenOf), pieces, ended: true, proof: [] };
      }),
  };
}

export function createPlantedSaes({ layers, mechanism }: PlantedOptions): SaeSource {
  const featuresOf = (layer: number): FeatureId[] =>
    Array.from({ length: PLANTED_WIDTH }, (_, index) => ({ layer, index }));
  const assertLayer = (layer: number) => {
    if (!layers.includes(layer)) throw fault('SAE_UNKNOWN', `no SAE for layer ${layer}`);
  };
  return {
    list: async () => layers.map((layer) => ({ layer, dSae: PLANTED_WIDTH, sha256: `sae-${layer}` })),
    nearest: async (layer, _vector, count) => {
      assertLayer(layer);
      return featuresOf(layer)
        .map((feature) => ({ ...feature, cosine: mechanism.cosine(formatFeature(feature)) }))
        .sort((a, b) => b.cosine - a.cosine || a.index - b.index)
        .slice(0, count);
    },
    encode: async (layer, residual, features) => {
      assertLayer(layer);
      return Array.from({ length: residual.rows }, (_, row) => {
        const values = residual.data.subarray(row * residual.cols, (row + 1) * residual.cols);
        const indices = (features ?? [...values.keys()]).filter((index) => values[index]! > 0);
        return { indices, values: indices.map((index) => values[index]!) };
      });
    },
    ablations: async (features, positions) => {
      const sorted = [...features].sort(compareFeatures);
      const byLayer = [...new Set(sorted.map(({ layer }) => layer))];
      return createBank(
        byLayer.map((layer) => {
          const own = sorted.filter((feature) => feature.layer === layer);
          const outside = own.find(({ index }) => index >= PLANTED_WIDTH);
          if (outside) throw fault('FEATURE_UNKNOWN', `${formatFeature(outside)} is outside its SAE`);
          const rows = Float32Array.from(
            own.flatMap(({ index }) => Array.from({ length: PLANTED_WIDTH }, (_, i) => (i === index ? 1 : 0))),
          );
          const matrix = { rows: own.length, cols: PLANTED_WIDTH, data: rows };
          const zeros = new Float32Array(own.length);
          return {
            layer,
            names: own.map(formatFeature),
            read: matrix,
            bias: zeros,
            threshold: zeros,
            write: matrix,
            target: zeros,
            positions,
          };
        }),
      );
    },
  };
}

export interface PlantedContext extends SearchContext {
  readonly model: PlantedModel;
  readonly records: EvaluationRecord[];
  readonly progresses: StageProgress[];
  readonly abort: AbortController;
}

export function createPlantedContext(options: PlantedOptions): PlantedContext {
  const records: EvaluationRecord[] = [];
  const progresses: StageProgress[] = [];
  const abort = new AbortController();
  return {
    model: createPlantedModel(options),
    saes: createPlantedSaes(options),
    signal: abort.signal,
    abort,
    records,
    progresses,
    onEvaluation: (record) => records.push(record),
    onProgress: (progress) => progresses.push(progress),
  };
}

/** Refuses while any of the heads is on; each head is active on the clean prompt, and decoys are too. */
export function planOr(heads: readonly string[], decoys: readonly string[] = []): Mechanism {
  const active = new Set([...heads, ...decoys]);
  return {
    score: (_prompt, isOff) => (heads.some((head) => !isOff(head)) ? 3 : -3),
    activation: (_prompt, feature) => (active.has(feature) ? (heads.includes(feature) ? 4 : 2) : 0),
    cosine: (feature) => (heads.includes(feature) ? 0.5 : decoys.includes(feature) ? 0.6 : 0.1),
  };
}

/** A chain: each head is awake only while all before it are off; only the first is active on the clean prompt. */
export function planHydra(chain: readonly string[], decoys: readonly string[] = []): Mechanism {
  const awake = (feature: string, isOff: IsOff) => {
    const depth = chain.indexOf(feature);
    return depth >= 0 && chain.slice(0, depth).every(isOff);
  };
  return {
    score: (_prompt, isOff) => (chain.some((head) => awake(head, isOff) && !isOff(head)) ? 3 : -3),
    activation: (_prompt, feature, isOff) => (awake(feature, isOff) ? 4 : decoys.includes(feature) ? 2 : 0),
    cosine: (feature) => (chain.includes(feature) ? 0.5 : decoys.includes(feature) ? 0.6 : 0.1),
  };
}
