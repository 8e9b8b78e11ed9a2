/** Starts the inference service: tokenizer, engine thread, digests, handlers, server. Ready only once all of it is. */
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { ServerMiddleware } from 'nice-grpc';
import type { Provenance } from '../../proto/gen/refusalscope/v1/types.js';
import { type Logger, silentLogger } from '../../shared/log/create-logger.js';
import type { BusConfig } from '../../shared/process/bus-settings.js';
import { type Edge, localEdge } from '../../shared/rpc/edge.js';
import { startServer } from '../../shared/rpc/start-server.js';
import { openGguf } from '../../shared/tensor-files/gguf.js';
import { readGgufTokenizer } from '../../shared/tensor-files/gguf-tokenizer.js';
import { WeightDigests } from '../../shared/tensor-files/weight-digests.js';
import { createEvaluateMasks, type EvaluateMasks } from './evaluate-masks.js';
import { DEFAULT_LIMITS, type InferenceLimits } from './limits.js';
import { observeEngine } from './observe-engine.js';
import { assertEditsAct } from './self-test.js';
import { type BulkWorker, serveBulk } from './serve-bulk.js';
import { createInferenceService } from './service.js';
import type { ComputeDtype, EngineThread } from './thread/messages.js';
import { startEngineThread } from './thread/start-engine-thread.js';
import type { ChatTokenizer } from './tokenizer/chat-tokenizer.js';
import { createTokenizerFromFolder } from './tokenizer/tokenizer-from-folder.js';
import { createTokenizerFromGguf } from './tokenizer/tokenizer-from-gguf.js';
import { traceEngine } from './trace-engine.js';
import { type WatchedEngine, watchEngine } from './watch-engine.js';

const HEARTBEAT_MS = 5_000;
const DEFAULT_STALL_LIMIT_MS = 300_000;

export interface InferenceServiceConfig {
  /** GGUF file, or folder of Hugging Face files. */
  readonly modelPath: string;
  /** Folder of a PEFT LoRA adapter. */
  readonly adapterPath?: string;
  /** The name that requests may expect. */
  readonly modelName: string;
  /** "host:port"; port 0 picks a free one. */
  readonly listen: string;
  /** Threads of the matrix kernels. */
  readonly threads: number;
  /** "cpu", or an execution provider of onnxruntime. Default "cpu". */
  readonly device?: string;
  /** What the blocks compute in. Default "float32", the reference. */
  readonly compute?: ComputeDtype;
  /** Bytes of residuals and frozen keys that are kept between evaluations. */
  readonly cacheBytes: number;
  readonly limits?: Partial<InferenceLimits>;
  readonly logger?: Logger;
  readonly middleware?: readonly ServerMiddleware[];
  /** Certificates, authorization, limits and traces. Default: loopback alone. */
  readonly edge?: Edge;
  /** Where digests of large weight files are kept; absent: in memory alone. */
  readonly digestDir?: string;
  /** The work queue of evaluations; absent: they come by gRPC alone. */
  readonly bus?: BusConfig | undefined;
  /** A batch of the queue whose worker shows no life for this long goes to another one. Default 30 s. */
  readonly ackWaitMs?: number;
  /** Longest silence of an engine that has work: longer than its longest batch. Default 5 minutes. */
  readonly stallLimitMs?: number;
  /** Blocks loaded so far, of all. */
  readonly onLoading?: (done: number, total: number) => void;
}

export interface RunningInferenceService {
  readonly address: string;
  stop(): Promise<void>;
}

/** Resolves once the model answers. Throws the faults of unusable model, adapter or tokenizer files. */
export async function startInferenceService(config: InferenceServiceConfig): Promise<RunningInferenceService> {
  const { modelPath, adapterPath, modelName, logger = silentLogger, device = 'cpu', threads, cacheBytes } = config;
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  const { compute = 'float32', edge = localEdge } = config;
  let onThreadEnd: (problem: Error) => void = () => {};
  let onHealth: (alive: boolean) => void = () => {};
  const engine = await startEngineThread(
    { modelPath, adapterPath, threads, device, compute, cacheBytes },
    config.onLoading ?? (() => {}),
    (problem) => onThreadEnd(problem),
  );
  const { spec, tuning, files } = engine.ready;
  logger.info({ model: modelName, layers: spec.nLayers, batchTokens: tuning.batchTokens }, 'model loaded');
  try {
    const tokenizer = await openTokenizer(modelPath, files[0]);
    const provenance = await describeProvenance(config, files, tokenizer);
    const tested = await assertEditsAct(engine, tokenizer);
    logger.info({ ...tested }, 'edits act');
    const watched = watch(engine, config, (alive) => onHealth(alive));
    const observed = observeEngine(traceEngine(watched.engine, edge.telemetry), edge.telemetry.metrics);
    const door = { modelName, spec, tokenizer, limits, engine: observed };
    const evaluateMasks = createEvaluateMasks(door);
    const service = createInferenceService({ ...door, provenance, cacheBytes, evaluateMasks });
    const server = await startServer({
      address: config.listen,
      services: [service],
      logger,
      limits: { maxMessageBytes: limits.maxMessageBytes },
      edge,
      ...(config.middleware && { middleware: config.middleware }),
    });
    onHealth = (alive) => {
      server.setReady(alive);
      server.setAlive(alive);
    };
    onThreadEnd = (problem) => {
      logger.error({ err: problem }, 'the engine thread ended');
      onHealth(false);
    };
    const bulk = await openBulk(config, provenance, evaluateMasks).catch(async (problem: unknown) => {
      await server.stop();
      throw problem;
    });
    return {
      address: server.address,
      stop: async () => {
        watched.stop();
        await bulk?.stop(edge.graceMs ?? 0);
        await server.stop();
        await engine.stop();
      },
    };
  } catch (problem) {
    await engine.stop();
    throw problem;
  }
}

const openBulk = async (
  { bus, modelName, ackWaitMs, edge, logger = silentLogger }: InferenceServiceConfig,
  provenance: Provenance,
  evaluateMasks: EvaluateMasks,
): Promise<BulkWorker | undefined> => {
  if (bus === undefined) return undefined;
  return serveBulk({
    bus,
    modelName,
    provenance,
    evaluateMasks,
    logger,
    editLog: edge?.editLog,
    telemetry: edge?.telemetry,
    ...(ackWaitMs !== undefined && { ackWaitMs }),
  });
};

/** Health follows the engine's heartbeat while it has work. */
function watch(
  engine: EngineThread,
  { stallLimitMs = DEFAULT_STALL_LIMIT_MS, edge = localEdge, logger = silentLogger }: InferenceServiceConfig,
  setAlive: (alive: boolean) => void,
): WatchedEngine {
  const { metrics } = edge.telemetry;
  let cacheBytes: number | undefined;
  const watched = watchEngine(engine, {
    intervalMs: Math.min(HEARTBEAT_MS, stallLimitMs / 4),
    limitMs: stallLimitMs,
    onWedged: (silentMs) => {
      logger.error({ silentMs, limitMs: stallLimitMs }, 'the engine has work and does not answer');
      setAlive(false);
    },
    onAnswers: () => {
      logger.warn('the engine answers again');
      setAlive(true);
    },
    onStatistics: (statistics) => {
      cacheBytes = statistics.cacheBytes;
      for (const seconds of statistics.batchSeconds) metrics.record('refusal.engine.batch.duration', seconds);
    },
  });
  metrics.observe('refusal.engine.wedged', () => (watched.isWedged() ? 1 : 0));
  metrics.observe('refusal.cache.size', () => cacheBytes);
  return watched;
}

/** `firstFile` is what the model was opened from: a GGUF file holds its tokenizer, other models have it beside them. */
async function openTokenizer(modelPath: string, firstFile: string): Promise<ChatTokenizer> {
  if (!firstFile.toLowerCase().endsWith('.gguf')) return createTokenizerFromFolder(modelPath);
  const file = openGguf(firstFile);
  try {
    return createTokenizerFromGguf(readGgufTokenizer(file));
  } finally {
    file.close();
  }
}

async function describeProvenance(
  config: InferenceServiceConfig,
  files: readonly string[],
  tokenizer: ChatTokenizer,
): Promise<Provenance> {
  const { adapterPath } = config;
  const digests = new WeightDigests(config.digestDir);
  const each: string[] = [];
  for (const file of files) each.push(await digests.digest(file));
  // One file is named by its own digest; several by the digest of theirs, in their fixed order.
  const weightsSha256 = each.length === 1 ? each[0] : createHash('sha256').update(each.join()).digest('hex');
  const adapterSha256 =
    adapterPath === undefined ? '' : await digests.digest(join(adapterPath, 'adapter_model.safetensors'));
  const versionOf = (name: string): string => createRequire(import.meta.url)(name).version;
  return {
    model: config.modelName,
    weightsSha256,
    adapterSha256,
    tokenizerSha256: tokenizer.digest,
    chatTemplateSha256: tokenizer.templateDigest ?? '',
    computeDtype: config.compute ?? 'float32',
    device: config.device ?? 'cpu',
    saeSha256: {},
    versions: { onnxruntime: versionOf('onnxruntime-node/package.json'), node: process.versions.node },
  };
}
