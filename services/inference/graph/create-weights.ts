/**
 * Chooses how a model's weights get into its graphs. Small models and GGUF files go in as float32; large safetensors stay in their
 * files, and are widened to float32 once, at load, where memory allows, else in every run.
 */
import { totalmem } from 'node:os';
import { fault } from '../../../shared/errors/fault.js';
import type { OpenModel } from '../model/open-model.js';
import type { RuntimeOptions } from '../runtime/ort-session.js';
import { type ComputeType, ExternalWeights } from './external-weights.js';
import { Float32Weights } from './float32-weights.js';
import type { WeightSink } from './weight-sink.js';

export type WeightMode =
  /** Read, merged, stacked and copied into the graphs as float32. */
  | 'copied'
  /** Mapped from safetensors; 16-bit ones become float32 once, at load. */
  | 'mapped'
  /** Mapped and kept as stored; 16-bit matrices become float32 when they are used: half the memory, slower on short batches. */
  | 'mapped-stored';

export interface WeightChoice {
  readonly mode: WeightMode;
  readonly sink: WeightSink;
  /** What sessions of these graphs need besides the caller's own options. */
  readonly runtime: Pick<RuntimeOptions, 'weightsFolder' | 'foldConstants'>;
}

export interface WeightOptions {
  /** Default: by the size of the files and of the memory. */
  readonly mode?: WeightMode;
  /** float16 halves memory and time on GPUs; mapped modes only. */
  readonly computeType?: ComputeType;
}

/** Below this, copying is quick, and stacked matrices run a little faster. */
const COPIED_BYTES = 1 << 30;
/** Share of the memory that float32 weights may take; the rest is for states, banks and the other services. */
const FLOAT32_SHARE = 0.6;

/** Faults: UNSUPPORTED (a mode that the model's format does not allow), TENSOR_FILE_UNSUPPORTED. */
export function createWeights(model: OpenModel, options: WeightOptions = {}): WeightChoice {
  const { computeType = 'float32' } = options;
  const mode = options.mode ?? chooseMode(model, computeType);
  if (mode === 'copied') {
    if (computeType === 'float32') return { mode, sink: new Float32Weights(model.weights), runtime: {} };
    throw fault('UNSUPPORTED', `Weights that are copied run in float32; ${computeType} needs a mapped mode.`);
  }
  if (model.format !== 'huggingface') {
    throw fault('UNSUPPORTED', `Weights can be mapped from safetensors only; ${model.base.path} is a GGUF file.`);
  }
  const sink = new ExternalWeights(model.base, model.adapter, computeType);
  return { mode, sink, runtime: { weightsFolder: sink.folder, foldConstants: mode === 'mapped' } };
}

function chooseMode(model: OpenModel, computeType: ComputeType): WeightMode {
  const stored = model.base.list().reduce((sum, { byteLength }) => sum + byteLength, 0);
  if (model.format === 'gguf' || (stored < COPIED_BYTES && computeType === 'float32')) return 'copied';
  const values = model.base.list().reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return 4 * values <= FLOAT32_SHARE * memory ? 'mapped' : 'mapped-stored';
}
