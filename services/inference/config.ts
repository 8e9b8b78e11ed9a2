/** Settings of the inference service, from the environment and the settings file. */
import { availableParallelism } from 'node:os';
import { addressText, type Environment, loadConfig, wholeNumber, z } from '../../shared/config/load-config.js';
import { cacheFolderOf } from '../../shared/model-store/embedded-model.js';
import { BUS_SHAPE, busConfigOf } from '../../shared/process/bus-settings.js';
import { EDGE_SHAPE, type EdgeSettings } from '../../shared/process/edge-settings.js';
import type { InferenceServiceConfig } from './start.js';
import { COMPUTE_TYPES } from './thread/messages.js';

export const INFERENCE_SETTINGS = {
  ...EDGE_SHAPE,
  ...BUS_SHAPE,
  REFUSALSCOPE_MODEL_PATH: z.string({ error: 'must name a GGUF file or a folder of Hugging Face files' }),
  REFUSALSCOPE_ADAPTER_PATH: z.string().optional(),
  REFUSALSCOPE_MODEL_NAME: z.string().max(128).prefault('default'),
  REFUSALSCOPE_INFERENCE_LISTEN: addressText().prefault('127.0.0.1:7001'),
  REFUSALSCOPE_THREADS: wholeNumber(1, 256).prefault(String(availableParallelism())),
  REFUSALSCOPE_DEVICE: z.string().max(32).prefault('cpu'),
  REFUSALSCOPE_COMPUTE: z.enum(COMPUTE_TYPES).prefault('float32'),
  REFUSALSCOPE_ACK_WAIT_S: wholeNumber(1, 3600).prefault('30'),
  REFUSALSCOPE_CACHE_MB: wholeNumber(16, 1 << 20).prefault('384'),
  REFUSALSCOPE_MAX_WAITING_EVALUATIONS: wholeNumber(1, 10_000_000).prefault('131072'),
  REFUSALSCOPE_ENGINE_STALL_S: wholeNumber(1, 86_400).prefault('300'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadInferenceConfig = (
  environment: Environment,
): Omit<InferenceServiceConfig, 'edge'> & { readonly edge: EdgeSettings } => {
  const settings = loadConfig(INFERENCE_SETTINGS, environment, 'inference');
  return {
    modelPath: settings.REFUSALSCOPE_MODEL_PATH,
    ...(settings.REFUSALSCOPE_ADAPTER_PATH !== undefined && { adapterPath: settings.REFUSALSCOPE_ADAPTER_PATH }),
    modelName: settings.REFUSALSCOPE_MODEL_NAME,
    listen: settings.REFUSALSCOPE_INFERENCE_LISTEN,
    threads: settings.REFUSALSCOPE_THREADS,
    device: settings.REFUSALSCOPE_DEVICE,
    compute: settings.REFUSALSCOPE_COMPUTE,
    digestDir: cacheFolderOf({ ...environment }),
    cacheBytes: settings.REFUSALSCOPE_CACHE_MB * (1 << 20),
    stallLimitMs: settings.REFUSALSCOPE_ENGINE_STALL_S * 1000,
    limits: {
      maxQueuedEvaluations: settings.REFUSALSCOPE_MAX_WAITING_EVALUATIONS,
      // What DescribeModel tells is what the server takes.
      ...(settings.REFUSALSCOPE_MAX_MESSAGE_MB !== undefined && {
        maxMessageBytes: settings.REFUSALSCOPE_MAX_MESSAGE_MB * (1 << 20),
      }),
    },
    bus: busConfigOf(settings),
    ackWaitMs: settings.REFUSALSCOPE_ACK_WAIT_S * 1000,
    edge: settings,
  };
};
