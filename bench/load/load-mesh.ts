/** The services under load, as processes from the files that ship, on loopback; and the calls that are made to them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HealthDefinition } from 'nice-grpc-server-health';
import { type EvaluateMasksRequest, InferenceServiceDefinition } from '../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../proto/gen/refusalscope/v1/sae.js';
import type { BankReference } from '../../proto/gen/refusalscope/v1/types.js';
import { isFault } from '../../shared/errors/fault.js';
import type { SeededRandom } from '../../shared/random/seeded-random.js';
import { connect, type ServiceClient } from '../../shared/rpc/connect.js';
import { encodeMask } from '../../shared/tensors/mask-bits.js';
import { encodeRow } from '../../shared/tensors/matrix.js';
import { encodePositions, INSTRUCTION_POSITIONS } from '../../shared/tensors/positions.js';
import { startService } from '../../test/faults/service-process.js';
import { freePort } from '../../test/fixtures/free-port.js';
import type { Call } from './drive-load.js';
import type { LoadSubject } from './load-subject.js';

/** Evaluations a streaming call, as many as an item of the work queue has. */
export const EVALUATIONS = 32;

const CALLERS = 16;

export const CALLS = ['health', 'describe', 'tokenize', 'nearest', 'evaluate'] as const;
export type CallName = (typeof CALLS)[number];

export interface LoadMesh {
  /** Callers of a closed loop: enough to keep the engine busy, few enough that none is refused. */
  readonly callers: number;
  readonly pids: Readonly<Record<string, number>>;
  readonly calls: Readonly<Record<CallName, Call>>;
  close(): Promise<void>;
}

export const startLoadMesh = async (subject: LoadSubject, random: SeededRandom): Promise<LoadMesh> => {
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-load-'));
  const at = { inference: `127.0.0.1:${await freePort()}`, sae: `127.0.0.1:${await freePort()}` };
  const shared = {
    XDG_CACHE_HOME: folder,
    REFUSALSCOPE_MAX_CALLS: `${subject.maxCalls}`,
    REFUSALSCOPE_LOG_LEVEL: 'info',
  };
  const inference = await startService('inference', 'inference', {
    ...shared,
    REFUSALSCOPE_INFERENCE_LISTEN: at.inference,
    REFUSALSCOPE_CACHE_MB: '64',
    // The client takes a core too.
    REFUSALSCOPE_THREADS: '1',
    ...subject.modelEnvironment,
  });
  const sae = await startService('sae', 'sae', {
    ...shared,
    REFUSALSCOPE_SAE_LISTEN: at.sae,
    ...subject.saeEnvironment,
  });
  // A refusal is the answer that is measured: nobody asks again.
  const options = { retry: { maxAttempts: 1 } };
  const connections = {
    health: connect(HealthDefinition, at.inference, options),
    inference: connect(InferenceServiceDefinition, at.inference, options),
    sae: connect(SaeServiceDefinition, at.sae, options),
  };
  const clients = {
    health: connections.health.client,
    inference: connections.inference.client,
    sae: connections.sae.client,
  };
  return {
    callers: Math.min(CALLERS, subject.maxCalls / 2),
    pids: { inference: inference.pid, sae: sae.pid },
    calls: await callsTo(clients, subject, random),
    close: async () => {
      for (const { close } of Object.values(connections)) close();
      await Promise.all([inference.kill('SIGTERM'), sae.kill('SIGTERM')]);
      await rm(folder, { recursive: true, force: true });
    },
  };
};

interface Clients {
  readonly health: ServiceClient<typeof HealthDefinition>;
  readonly inference: ServiceClient<typeof InferenceServiceDefinition>;
  readonly sae: ServiceClient<typeof SaeServiceDefinition>;
}

const callsTo = async (clients: Clients, subject: LoadSubject, random: SeededRandom): Promise<LoadMesh['calls']> => {
  const { saes } = await clients.sae.listSaes({});
  const [{ layer, dIn }] = saes as [(typeof saes)[number]];
  const prompts = subject.prompts.map((text, i) => ({ id: `p${i}`, input: { $case: 'text' as const, value: text } }));
  const onePrompt = () => random.pick(prompts, 1);
  const vector = () => encodeRow(Float32Array.from({ length: dIn }, () => random.normal()));
  return {
    health: () => clients.health.check({ service: '' }),
    describe: () => clients.inference.describeModel({ model: 'load' }),
    tokenize: () => clients.inference.tokenize({ model: 'load', prompts: onePrompt(), pieces: [] }),
    nearest: () => clients.sae.findNearestFeatures({ layer, vector: vector(), count: 10 }),
    evaluate: await evaluations(clients, subject, random),
  };
};

/** One prompt under random masks, so that hardly any state is known; the bank goes inline once and by its digest from then on. */
const evaluations = async ({ inference, sae }: Clients, subject: LoadSubject, random: SeededRandom): Promise<Call> => {
  const positions = encodePositions(INSTRUCTION_POSITIONS);
  const { bank } = await sae.getEditRows({ features: [...subject.features], target: 0, positions });
  const mask = () => ({ bits: encodeMask(subject.features.map(() => (random.uniform() < 0.5 ? 1 : 0))) });
  const evaluate = async (reference: BankReference): Promise<string> => {
    const request: EvaluateMasksRequest = {
      model: 'load',
      prompts: random
        .pick([...subject.prompts], 1)
        .map((value) => ({ id: 'p', input: { $case: 'text', value }, instructionStart: undefined })),
      bank: reference,
      score: { openers: [{ ids: [1] }, { ids: [2, 3] }], firstTokenIds: [1], iTokenId: 1 },
      evaluations: Array.from({ length: EVALUATIONS }, () => ({ promptIndex: 0, mask: mask() })),
      firstTokenKl: false,
    };
    const answered = new Set<number>();
    let digest = '';
    for await (const { results, bankDigest } of inference.evaluateMasks(request)) {
      digest = bankDigest;
      for (const { evaluationIndex } of results) answered.add(evaluationIndex);
    }
    if (answered.size !== EVALUATIONS) throw new Error(`${answered.size} of ${EVALUATIONS} evaluations were answered`);
    return digest;
  };
  let digest = await evaluate({ bank: { $case: 'inline', value: bank! } });
  return async () => {
    try {
      await evaluate({ bank: { $case: 'digest', value: digest } });
    } catch (thrown) {
      if (!isFault(thrown, 'BANK_UNKNOWN')) throw thrown;
      digest = await evaluate({ bank: { $case: 'inline', value: bank! } });
    }
  };
};
