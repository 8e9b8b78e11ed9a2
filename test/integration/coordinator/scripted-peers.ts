/** Small peers over real gRPC for tests of the coordinator alone: the model, SAEs and FM answer with plain numbers, search by scripted-search.ts. */
import { FitModel, FmServiceDefinition } from '../../../proto/gen/refusalscope/v1/fm.js';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { SearchServiceDefinition } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Prompt } from '../../../proto/gen/refusalscope/v1/types.js';
import { fault } from '../../../shared/errors/fault.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { bindService, type RunningServer, startServer } from '../../../shared/rpc/start-server.js';
import { encodeMatrix } from '../../../shared/tensors/matrix.js';
import { LAYERS, type PeerScript, searchHandlers } from './scripted-search.js';

const D_MODEL = 4;
const POSITIONS = 12;

export interface ScriptedPeers {
  readonly script: PeerScript;
  /** How often each evaluation was really run, by its key. */
  readonly runs: Map<string, number>;
  readonly addresses: {
    readonly inferenceAddress: string;
    readonly saeAddress: string;
    readonly searchAddress: string;
    readonly fmAddress: string;
  };
  stop(): Promise<void>;
}

export const startScriptedPeers = async (changes: Partial<PeerScript> = {}): Promise<ScriptedPeers> => {
  const script: PeerScript = { delayMs: 0, weightsSha256: 'aa', refuses: (id) => id.startsWith('h'), ...changes };
  const runs = new Map<string, number>();
  const serve = (service: Parameters<typeof startServer>[0]['services'][number]) =>
    startServer({ address: '127.0.0.1:0', services: [service], logger: silentLogger });
  const [inference, sae, search, fm] = (await Promise.all([
    serve(bindService(InferenceServiceDefinition, inferenceHandlers(script))),
    serve(bindService(SaeServiceDefinition, saeHandlers())),
    serve(bindService(SearchServiceDefinition, searchHandlers(script, runs))),
    serve(bindService(FmServiceDefinition, fmHandlers())),
  ])) as [RunningServer, RunningServer, RunningServer, RunningServer];
  return {
    script,
    runs,
    addresses: {
      inferenceAddress: inference.address,
      saeAddress: sae.address,
      searchAddress: search.address,
      fmAddress: fm.address,
    },
    stop: async () => {
      await Promise.all([inference, sae, search, fm].map((server) => server.stop(100)));
    },
  };
};

const unused = (): never => {
  throw fault('UNSUPPORTED', 'not part of the script');
};

const inferenceHandlers = (script: PeerScript) => ({
  describeModel: async () => ({
    model: 'scripted',
    architecture: 'llama',
    nLayers: 5,
    dModel: D_MODEL,
    vocabSize: 100,
    contextLength: 64,
    instructionStart: 2,
    templateSuffixLength: 3,
    provenance: { model: 'scripted', weightsSha256: script.weightsSha256, computeDtype: 'float32', device: 'cpu' },
    limits: { maxPrompts: 64 },
  }),
  tokenize: async (request: { prompts: Prompt[]; pieces: string[] }) => ({
    prompts: request.prompts.map(({ id, input }) => {
      if (input?.$case === 'text' && input.value.length > 200)
        throw fault('PROMPT_TOO_LONG', `Prompt ${id} is too long.`);
      return { id, tokenIds: [1, 2, 3], instructionStart: 2, instructionEnd: POSITIONS - 3 };
    }),
    pieces: request.pieces.map((piece) => ({ tokenIds: [...piece].map((letter) => letter.charCodeAt(0)) })),
  }),
  async *captureResiduals(request: { prompts: Prompt[]; layers: number[] }) {
    for (const [promptIndex, { id }] of request.prompts.entries()) {
      const positions = Array.from({ length: POSITIONS }, (_, i) => i);
      const layers = request.layers.map((layer) => {
        const data = Float32Array.from({ length: POSITIONS * D_MODEL }, (_, i) => Math.sin(i + layer + id.length));
        return { layer, residual: encodeMatrix({ rows: POSITIONS, cols: D_MODEL, data }) };
      });
      yield { promptIndex, promptId: id, positions, layers };
    }
  },
  async *evaluateMasks() {
    yield unused();
  },
  async *generate() {
    yield unused();
  },
  measureCrossEntropy: async () => unused(),
});

const saeHandlers = () => ({
  listSaes: async () => ({
    saes: LAYERS.map((layer) => ({
      layer,
      dIn: D_MODEL,
      dSae: 64,
      architecture: 'jumprelu',
      format: 'saelens',
      sha256: `s${layer}`,
      editsExact: true,
    })),
  }),
  encode: async (request: { residual?: { rows: number } | undefined; features: number[] }) => ({
    rows: Array.from({ length: request.residual?.rows ?? 0 }, (_, i) => ({
      indices: request.features.slice(0, 1),
      values: [i + 1],
    })),
  }),
  findNearestFeatures: async () => unused(),
  getEditRows: async () => unused(),
  admitSae: async (request: { residual?: { rows: number } | undefined }) => ({
    admission: {
      verdict: 1,
      fvu: 0.1,
      l0: 3,
      deadShare: 0,
      rows: request.residual?.rows ?? 0,
      reason: 'within bounds',
    },
  }),
});

const fmHandlers = () => ({
  async *fit(request: { names: string[]; targets: number[] }) {
    const rank = 2;
    const K = request.names.length;
    yield {
      event: {
        $case: 'result' as const,
        value: {
          machine: {
            intercept: 1,
            weights: request.names.map(() => 0),
            factors: encodeMatrix({ rows: K, cols: rank, data: new Float32Array(K * rank) }),
          },
          factorizationMachineMetrics: { r2: 0.9 },
          linearMetrics: { r2: 0.8 },
          allPairsMetrics: { r2: 0.95, validationLoss: 0.05 },
          chosen: FitModel.FIT_MODEL_ALL_PAIRS,
          pairsFrom: FitModel.FIT_MODEL_ALL_PAIRS,
          interactions: [{ first: 0, second: 1, effect: 0.5 }],
          mainEffects: request.names.map((_, i) => -i),
          trainRows: request.targets.length,
        },
      },
    };
  },
  designMasks: async (request: { features: number; count: number; seed: number }) => ({
    masks: Array.from({ length: request.count }, (_, i) => {
      const bits = Buffer.alloc(Math.ceil(request.features / 8));
      bits.writeUInt8((i * 37 + request.seed) % 16, 0);
      return { bits };
    }),
  }),
});
