/** A small mesh of real processes: nats-server, workers with a stand-in for the model, and a requester in this process. */
import { randomUUID } from 'node:crypto';
import type { Bus } from '../../shared/bus/bus.js';
import { publishEvaluations } from '../../shared/bus/evaluation-work.js';
import { connectNatsBus } from '../../shared/bus/nats/connect-nats-bus.js';
import { silentLogger } from '../../shared/log/create-logger.js';
import { type NatsServer, startNatsServer } from '../fixtures/nats/nats-server.js';
import { maskBits, STAND_IN_MODEL, standInRequest, standInScore } from '../fixtures/nats/stand-in-model.js';
import { type StartedProcess, startProcess } from '../fixtures/nats/start-process.js';

const WORKER = new URL('../fixtures/nats/evaluation-worker.js', import.meta.url);
const CLOCK = new URL('../fixtures/nats/shifted-clock.js', import.meta.url);

export const PROMPTS = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5', 'p6', 'p7'];
export const MASKS = 60;
export const BATCH = 10;
/** An item of a silent worker goes to another one after this. */
export const ACK_WAIT_MS = 2_000;

export interface WorkerOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly nodeFlags?: readonly string[];
  /** Wall clock, against this machine's. */
  readonly clockShiftMs?: number;
}

export interface Answers {
  readonly scores: readonly (number | undefined)[];
  /** Monotonic ms at which each evaluation was answered. */
  readonly answeredAt: readonly (number | undefined)[];
}

export interface Mesh {
  readonly server: NatsServer;
  readonly bus: Bus;
  readonly workers: StartedProcess[];
  startWorker(options?: WorkerOptions): Promise<StartedProcess>;
  /** `onAnswer` gets the evaluations answered so far. @throws the fault that ended an item */
  evaluate(requester: string, prompts: readonly string[], onAnswer?: (answered: number) => unknown): Promise<Answers>;
  close(): Promise<void>;
}

export const startMesh = async (): Promise<Mesh> => {
  const server = await startNatsServer();
  const namespace = `faults-${randomUUID()}`;
  const bus = await connectNatsBus({ servers: [server.url], namespace, logger: silentLogger });
  const workers: StartedProcess[] = [];
  return {
    server,
    bus,
    workers,
    startWorker: async ({ environment = {}, nodeFlags = [], clockShiftMs = 0 } = {}) => {
      const own = { BUS_SERVERS: server.url, BUS_NAMESPACE: namespace, WAIT_MS: '60', ACK_WAIT_MS: `${ACK_WAIT_MS}` };
      const all = { ...own, CLOCK_SHIFT_MS: `${clockShiftMs}`, ...environment };
      const worker = startProcess(WORKER, all, ['--import', CLOCK.href, ...nodeFlags]);
      workers.push(worker);
      await worker.until((line) => line === 'ready', 60_000);
      return worker;
    },
    evaluate: (requester, prompts, onAnswer) => evaluate(bus, requester, prompts, onAnswer),
    close: async () => {
      await bus.close();
      await Promise.all(workers.map((worker) => worker.kill('SIGKILL')));
      await server.close();
    },
  };
};

const evaluate = async (
  bus: Bus,
  requester: string,
  prompts: readonly string[],
  onAnswer: (answered: number) => unknown = () => undefined,
): Promise<Answers> => {
  const scores: number[] = [];
  const answeredAt: number[] = [];
  let answered = 0;
  const options = { requester, modelDigest: STAND_IN_MODEL.digest, batchSize: BATCH };
  for await (const { results } of publishEvaluations(bus, standInRequest(prompts, MASKS), options)) {
    for (const { evaluationIndex, refusalScore } of results) {
      scores[evaluationIndex] = refusalScore;
      answeredAt[evaluationIndex] = performance.now();
    }
    answered += results.length;
    await onAnswer(answered);
  }
  return { scores, answeredAt };
};

/** The scores of an undisturbed run, computed here. */
export const rightScores = (prompts: readonly string[]): number[] =>
  prompts.flatMap((id) => Array.from({ length: MASKS }, (_, mask) => standInScore(id, maskBits(mask))));

/** Evaluations, by name, that a worker has begun. */
const begunBy = ({ lines }: StartedProcess): string[] => namesAfter(lines, 'start ');

export const countRedone = (workers: readonly StartedProcess[]): number => {
  const begun = workers.flatMap(begunBy);
  return begun.length - new Set(begun).size;
};

/** Places, in the order of `rightScores`, of evaluations that were begun and not ended. */
export const underWay = (workers: readonly StartedProcess[], prompts: readonly string[]): number[] => {
  const ended = new Set(workers.flatMap(({ lines }) => namesAfter(lines, 'end ')));
  const open = [...new Set(workers.flatMap(begunBy))].filter((name) => !ended.has(name));
  return open.map((name) => placeOf(name, prompts));
};

const namesAfter = (lines: readonly string[], verb: string): string[] =>
  lines.filter((line) => line.startsWith(verb)).flatMap((line) => line.slice(verb.length).split(' '));

const placeOf = (name: string, prompts: readonly string[]): number => {
  const [prompt, mask] = name.split(':');
  return prompts.indexOf(prompt ?? '') * MASKS + Buffer.from(mask ?? '', 'hex').readUInt32LE(0);
};
