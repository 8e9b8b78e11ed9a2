/**
 * The only door to onnxruntime-node. A run blocks the thread it is called on, so sessions live on the engine's own thread; what
 * arrives here is already checked, and a failure of the runtime is a defect of ours, not of the caller's request.
 */
import ort from 'onnxruntime-node';
import { fault } from '../../../shared/errors/fault.js';

export interface RuntimeOptions {
  readonly threads: number;
  /** "cpu" or an execution provider of onnxruntime such as "cuda". */
  readonly device: string;
  /** Folder that the locations of external initializers are relative to; they must not lead out of it. */
  readonly weightsFolder?: string;
  /** Compute what only depends on weights once, at load. Default true; false keeps 16-bit weights as they are stored. */
  readonly foldConstants?: boolean;
}

export type TensorData = Float32Array | BigInt64Array;

export interface Feed {
  readonly data: TensorData;
  readonly dims: readonly number[];
}

function extraSettings({ weightsFolder, foldConstants = true }: RuntimeOptions): Record<string, unknown> {
  return {
    session: {
      // Threads that wait without spinning leave the cores to the other services on a small machine.
      intra_op: { allow_spinning: '0' },
      ...(weightsFolder === undefined ? {} : { model_external_initializers_file_folder_path: weightsFolder }),
    },
    ...(foldConstants ? {} : { optimization: { disable_specified_optimizers: 'ConstantFolding' } }),
  };
}

export class OrtSession {
  private constructor(private readonly session: ort.InferenceSession) {}

  /** `model` is an encoded graph, or the path of one that stands beside its external data. */
  static async create(model: Uint8Array | string, options: RuntimeOptions): Promise<OrtSession> {
    const settings: ort.InferenceSession.SessionOptions = {
      executionProviders: options.device === 'cpu' ? ['cpu'] : [options.device, 'cpu'],
      intraOpNumThreads: options.threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      enableCpuMemArena: false,
      extra: extraSettings(options),
    };
    try {
      const session =
        typeof model === 'string'
          ? await ort.InferenceSession.create(model, settings)
          : await ort.InferenceSession.create(model, settings);
      return new OrtSession(session);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      if (options.device !== 'cpu' && /provider|shared library|backend/i.test(reason)) {
        throw fault(
          'UNSUPPORTED',
          `The device "${options.device}" is not usable here: onnxruntime could not load its execution provider. Use device "cpu", or install the provider's libraries.`,
          { cause },
        );
      }
      throw fault('INTERNAL', 'onnxruntime refused a graph that was built for it.', { cause });
    }
  }

  /** Runs the graph and gives the outputs that are named. */
  async run<Name extends string>(
    feeds: Readonly<Record<string, Feed>>,
    outputs: readonly Name[],
  ): Promise<Record<Name, Float32Array>> {
    const tensors: Record<string, ort.Tensor> = {};
    for (const [name, { data, dims }] of Object.entries(feeds)) {
      tensors[name] =
        data instanceof Float32Array ? new ort.Tensor('float32', data, dims) : new ort.Tensor('int64', data, dims);
    }
    const results = await this.session.run(tensors, [...outputs]);
    return Object.fromEntries(outputs.map((name) => [name, results[name].data])) as Record<Name, Float32Array>;
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}
