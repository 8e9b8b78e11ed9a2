/**
 * Starts services in one process, on loopback ports with real gRPC between them, in the order in which they need each other, and stops
 * them in the opposite order. Prevents: a half-started mesh that is left behind when one service cannot start.
 */
import { createLogger, type LogDestination, type LogLevel } from '../../shared/log/create-logger.js';
import { startCoordinatorService } from '../coordinator/start.js';
import { startFmService } from '../fm/start.js';
import { startInferenceService } from '../inference/start.js';
import type { ComputeDtype } from '../inference/thread/messages.js';
import type { SaeChoice } from '../sae/find-saes.js';
import { startSaeService } from '../sae/start.js';
import type { EndpointJudgeConfig } from '../search/judge/endpoint-judge.js';
import { startSearchService } from '../search/start.js';
import type { MeshEdges } from './mesh-edges.js';

/** What is served: the files of a model and its SAEs. */
export interface ModelFiles {
  readonly modelName: string;
  /** GGUF file, or folder of Hugging Face files. */
  readonly modelPath: string;
  /** Folder of a PEFT LoRA adapter. */
  readonly adapterPath?: string | undefined;
  readonly saeDirs: readonly string[];
  /** Which SAE of a layer, where the folders hold several. */
  readonly saeChoice?: SaeChoice | undefined;
}

export interface MeshConfig extends ModelFiles {
  /** Default "float32". */
  readonly compute?: ComputeDtype | undefined;
  /** "cpu", or an execution provider. Default "cpu". */
  readonly device?: string | undefined;
  /** A classifier that judges answers. Default: the built-in phrases. */
  readonly judge?: EndpointJudgeConfig | undefined;
  /** Where digests of weight files are kept; absent: in memory alone. */
  readonly digestDir?: string | undefined;
  readonly threads: number;
  /** Bytes of residuals and keys that inference keeps. */
  readonly cacheBytes: number;
  readonly stateDir: string;
  readonly logLevel: LogLevel;
  /** Default: stderr. */
  readonly logTo?: LogDestination | undefined;
  /** The coordinator's "host:port". Default: a free port on loopback. */
  readonly listen?: string | undefined;
  /** "host:port" of the console's web pages; absent: no console. */
  readonly consoleListen?: string | undefined;
  readonly commandLine?: string | undefined;
  /** Certificates, authorization, traces; absent: loopback alone. */
  readonly edges?: Pick<MeshEdges, 'inside' | 'outside'> | undefined;
  readonly onLoading?: ((done: number, total: number) => void) | undefined;
}

export interface EvaluationServices {
  readonly inferenceAddress: string;
  readonly saeAddress: string;
  stop(): Promise<void>;
}

export interface Mesh extends EvaluationServices {
  readonly searchAddress: string;
  readonly fmAddress: string;
  readonly coordinatorAddress: string;
  readonly consoleAddress?: string | undefined;
}

const LOOPBACK = '127.0.0.1:0';

interface Stoppable {
  stop(): Promise<void>;
}

/** Keeps what has been started, so that a failure or a stop ends all of it. */
class Started {
  private readonly services: Stoppable[] = [];

  async add<Service extends Stoppable>(starting: Promise<Service>): Promise<Service> {
    const service = await starting;
    this.services.push(service);
    return service;
  }

  async stop(): Promise<void> {
    for (const service of this.services.splice(0).reverse()) await service.stop();
  }
}

const whole = async <Value>(started: Started, start: () => Promise<Value>): Promise<Value> => {
  try {
    return await start();
  } catch (thrown) {
    await started.stop();
    throw thrown;
  }
};

/** The two services that a single evaluation needs. */
export const startEvaluationServices = async (config: MeshConfig): Promise<EvaluationServices> => {
  const started = new Started();
  return whole(started, async () => {
    const { inference, sae } = await startModelServices(config, started);
    return { inferenceAddress: inference.address, saeAddress: sae.address, stop: () => started.stop() };
  });
};

/** All five. */
export const startMesh = async (config: MeshConfig): Promise<Mesh> => {
  const started = new Started();
  return whole(started, async () => {
    const { inference, sae } = await startModelServices(config, started);
    const peers = { inferenceAddress: inference.address, saeAddress: sae.address };
    const logger = (name: string) => createLogger(name, config.logLevel, config.logTo);
    const fm = await started.add(
      startFmService({ listen: LOOPBACK, logger: logger('fm'), ...(await insideEdge(config, 'fm')) }),
    );
    const search = await started.add(
      startSearchService({
        ...peers,
        listen: LOOPBACK,
        logger: logger('search'),
        ...(config.judge !== undefined && { judge: config.judge }),
        ...(await insideEdge(config, 'search')),
      }),
    );
    const addresses = { ...peers, searchAddress: search.address, fmAddress: fm.address };
    const coordinator = await started.add(
      startCoordinatorService({
        ...addresses,
        listen: config.listen ?? LOOPBACK,
        stateDir: config.stateDir,
        logger: logger('coordinator'),
        ...(config.listen === undefined
          ? await insideEdge(config, 'coordinator')
          : config.edges && { edge: await config.edges.outside('coordinator') }),
        ...(config.consoleListen !== undefined && { consoleListen: config.consoleListen }),
        ...(config.commandLine !== undefined && { commandLine: config.commandLine }),
      }),
    );
    return {
      ...addresses,
      coordinatorAddress: coordinator.address,
      consoleAddress: coordinator.consoleAddress,
      stop: () => started.stop(),
    };
  });
};

const insideEdge = async ({ edges }: MeshConfig, service: string) =>
  edges === undefined ? {} : { edge: await edges.inside(service) };

const startModelServices = async (config: MeshConfig, started: Started) => {
  const sae = await started.add(
    startSaeService({
      saeDirs: config.saeDirs,
      listen: LOOPBACK,
      logger: createLogger('sae', config.logLevel, config.logTo),
      ...(await insideEdge(config, 'sae')),
      ...(config.saeChoice !== undefined && { choice: config.saeChoice }),
      ...(config.digestDir !== undefined && { digestDir: config.digestDir }),
    }),
  );
  const inference = await started.add(
    startInferenceService({
      modelPath: config.modelPath,
      modelName: config.modelName,
      threads: config.threads,
      cacheBytes: config.cacheBytes,
      listen: LOOPBACK,
      logger: createLogger('inference', config.logLevel, config.logTo),
      ...(await insideEdge(config, 'inference')),
      ...(config.adapterPath !== undefined && { adapterPath: config.adapterPath }),
      ...(config.compute !== undefined && { compute: config.compute }),
      ...(config.device !== undefined && { device: config.device }),
      ...(config.digestDir !== undefined && { digestDir: config.digestDir }),
      ...(config.onLoading !== undefined && { onLoading: config.onLoading }),
    }),
  );
  return { sae, inference };
};
