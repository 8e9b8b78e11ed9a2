/**
 * Chooses how a model's weights get into its graphs. Small models go in as float32; large safetensors stay in their files, and are
 * widened to float32 once, at load, where memory allows, else in every run; large GGUF files pass through a file as float32.
 */
import { totalmem } from 'node:os';
import { fault } from '../../../shared/errors/fault.js';
import { GgufWeights } from '../model/gguf-weights.js';
import type { OpenModel } from '../model/open-model.js';
import type { RuntimeOptions } from '../runtime/ort-session.js';
import { BlockQuantizedWeights } from './block-quantized-weights.js';
import { type ComputeType, ExternalWeights } from './external-weights.js';
import { Float32Weights } from './float32-weights.js';
import { SpooledWeights } from './spooled-weights.js';
import { readStoredBlocks } from './weight-blocks.js';
import type { WeightSink } from './weight-sink.js';

export type WeightMode =
  /** Read, merged, stacked and copied into the graphs as float32. */
  | 'copied'
  /** Mapped from safetensors; 16-bit ones become float32 once, at load. */
  | 'mapped'
  /** Mapped and kept as stored; 16-bit matrices become float32 when they are used: half the memory, slower on short batches. */
  | 'mapped-stored'
  /** Read and merged as float32, handed over through a temporary file. */
  | 'spooled'
  /** Merged, then rounded to 8 bits in blocks of 32. */
  | 'int8'
  /** 4-bit blocks of a GGUF file as they are, the adapter beside them; what is stored otherwise as in int8. */
  | 'int4';

export interface WeightChoice {
  readonly mode: WeightMode;
  readonly sink: WeightSink;
  /** What sessions of these graphs need besides the caller's own options. */
  readonly runtime: Pick<RuntimeOptions, 'weightsFolder' | 'foldConstants'>;
}

export interface WeightOptions {
  /** Default: by the size of the files and of the memory. */
  readonly mode?: WeightMode;
  /** 16-bit floats halve memory and time on GPUs; mapped modes only. Activations of Gemma leave the range of float16, not that of bfloat16. */
  readonly computeType?: ComputeType;
  /** Where the graphs will run. Default "cpu", which has no bfloat16. */
  readonly device?: string;
}

/** Below this as float32, copying is quick, and stacked matrices run a little faster. */
const COPIED_BYTES = 1 << 30;
/** Share of the memory that float32 weights may take; the rest is for states, banks and the other services. */
const FLOAT32_SHARE = 0.6;

/**
 * Faults: UNSUPPORTED (a mode that the model's format does not allow), TENSOR_FILE_UNSUPPORTED, REQUEST_TOO_LARGE (a GGUF model that
 * can never fit this machine's memory).
 */
export function createWeights(model: OpenModel, options: WeightOptions = {}): WeightChoice {
  const { computeType = 'float32', device = 'cpu' } = options;
  if (computeType === 'bfloat16' && device === 'cpu') {
    throw fault(
      'UNSUPPORTED',
      'onnxruntime has no bfloat16 products on the device "cpu". Use float32 there (bfloat16 weights are exact in it), or another device.',
    );
  }
  const mode = options.mode ?? chooseMode(model, computeType);
  if (mode === 'int8' || mode === 'int4')
    return { mode, sink: blockQuantized(model, mode === 'int8' ? 8 : 4), runtime: {} };
  if (mode === 'mapped' || mode === 'mapped-stored') return mapped(model, mode, computeType);
  if (computeType !== 'float32') {
    throw fault('UNSUPPORTED', `Weights of ${model.base.path} run in float32; ${computeType} needs safetensors.`);
  }
  if (mode === 'copied') return { mode, sink: new Float32Weights(model.weights), runtime: {} };
  const sink = new SpooledWeights(model.weights);
  return { mode, sink, runtime: { weightsFolder: sink.folder } };
}

function blockQuantized({ base, weights, adapter }: OpenModel, bits: 4 | 8): WeightSink {
  const readBlocks = (name: string) =>
    base instanceof GgufWeights ? readStoredBlocks(base.info(name), (row) => base.storedRow(name, row)) : undefined;
  const readMerged = (name: string) => ({ data: weights.readFloat32(name), shape: weights.info(name).shape });
  const exact = new Float32Weights(weights);
  return new BlockQuantizedWeights({ bits, readMerged, readBlocks, adapter }, exact, (name) =>
    weights.has(`${name}.bias`),
  );
}

function mapped(model: OpenModel, mode: 'mapped' | 'mapped-stored', computeType: ComputeType): WeightChoice {
  if (model.format !== 'huggingface') {
    throw fault('UNSUPPORTED', `Weights can be mapped from safetensors only; ${model.base.path} is a GGUF file.`);
  }
  const sink = new ExternalWeights(model.base, model.adapter, computeType);
  return { mode, sink, runtime: { weightsFolder: sink.folder, foldConstants: mode === 'mapped' } };
}

function chooseMode(model: OpenModel, computeType: ComputeType): WeightMode {
  const float32Bytes =
    4 * model.base.list().reduce((sum, { shape }) => sum + shape.reduce((n, size) => n * size, 1), 0);
  if (float32Bytes < COPIED_BYTES && computeType === 'float32') return 'copied';
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const fits = float32Bytes <= FLOAT32_SHARE * memory;
  if (model.format === 'huggingface') return fits || computeType !== 'float32' ? 'mapped' : 'mapped-stored';
  if (float32Bytes <= memory) return 'spooled';
  throw fault(
    'REQUEST_TOO_LARGE',
    `${model.base.path} takes ${gigabytes(float32Bytes)} as float32; this machine has ${gigabytes(memory)}. Use the model's safetensors, which stay in their files.`,
  );
}

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
