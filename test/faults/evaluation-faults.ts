/** Faults that hit evaluation over the bus: real processes, real kills. Each gives its numbers beside those of an undisturbed run. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEvaluationQueue } from '../../shared/bus/evaluation-work.js';
import { isFault } from '../../shared/errors/fault.js';
import { STAND_IN_MODEL } from '../fixtures/nats/stand-in-model.js';
import type { FaultResult } from './fault-result.js';
import {
  ACK_WAIT_MS,
  type Answers,
  countRedone,
  type Mesh,
  PROMPTS,
  rightScores,
  startMesh,
  underWay,
} from './mesh.js';

/** Answered evaluations after which the fault strikes: early enough that most of the work is still to come. */
const STRIKE_AFTER = 100;

interface Strike {
  /** Monotonic ms from which recovery is counted. */
  readonly from: number;
  /** Places of evaluations that were under way. */
  readonly underWay: readonly number[];
}

/** Runs an evaluation during which `strike` happens once; its promise may end long after it struck. */
const disturbed = async (mesh: Mesh, strike: () => Promise<Strike>): Promise<{ answers: Answers; struck: Strike }> => {
  let striking: Promise<Strike> | undefined;
  const answers = await mesh.evaluate('audit', PROMPTS, (answered) => {
    if (answered >= STRIKE_AFTER) striking ??= strike();
  });
  if (striking === undefined) throw new Error('the run was over before the fault struck');
  return { answers, struck: await striking };
};

const resultOf = (
  mesh: Mesh,
  { answers, struck }: { readonly answers: Answers; readonly struck: Strike },
): Pick<FaultResult, 'report_identical' | 'lost' | 'redone' | 'recovery_s'> => {
  const right = rightScores(PROMPTS);
  const recovered = Math.max(struck.from, ...struck.underWay.map((place) => answers.answeredAt[place] ?? Infinity));
  return {
    report_identical: right.every((score, place) => Object.is(score, answers.scores[place])),
    lost: right.filter((_, place) => answers.scores[place] === undefined).length,
    redone: countRedone(mesh.workers),
    recovery_s: (recovered - struck.from) / 1000,
  };
};

const inMesh = async (run: (mesh: Mesh) => Promise<FaultResult>): Promise<FaultResult> => {
  const mesh = await startMesh();
  try {
    return await run(mesh);
  } finally {
    await mesh.close();
  }
};

export const killedWorker = () =>
  inMesh(async (mesh) => {
    const victim = await mesh.startWorker();
    await mesh.startWorker();
    const run = await disturbed(mesh, async () => {
      await victim.until((line) => line.startsWith('start '));
      const hit = { from: performance.now(), underWay: underWay([victim], PROMPTS) };
      await victim.kill('SIGKILL');
      return hit;
    });
    const what = 'kill -9 one of two workers in the middle of a batch';
    const also = `items of a silent worker move on after ${ACK_WAIT_MS / 1000} s`;
    return { name: 'killed-worker', what, ...resultOf(mesh, run), also };
  });

export const stoppedServer = (outageMs: number) =>
  inMesh(async (mesh) => {
    await mesh.startWorker();
    await mesh.startWorker();
    const run = await disturbed(mesh, async () => {
      const hit = underWay(mesh.workers, PROMPTS);
      await mesh.server.stop('SIGKILL');
      await sleep(outageMs);
      await mesh.server.start();
      return { from: performance.now(), underWay: hit };
    });
    const what = `kill -9 nats-server, start it after ${outageMs / 1000} s with its store`;
    return { name: 'stopped-server', what, ...resultOf(mesh, run), also: 'no process was restarted' };
  });

export const poisonBatch = () =>
  inMesh(async (mesh) => {
    await mesh.startWorker({ environment: { POISON: 'bad' } });
    await mesh.startWorker({ environment: { POISON: 'bad' } });
    let fault: unknown;
    const run = await disturbed(mesh, async () => {
      const from = performance.now();
      fault = await mesh.evaluate('other', ['bad']).catch((thrown: unknown) => thrown);
      return { from, underWay: [] };
    });
    if (!isFault(fault, 'PROMPT_TOO_LONG')) throw new Error('the poison did not come back as its fault');
    const letters = await (await openEvaluationQueue(mesh.bus, STAND_IN_MODEL.name)).deadLetters();
    if (letters.length === 0) throw new Error('the poison left no dead letter');
    const what = 'another audit sends batches that no worker can compute';
    const also = `that audit got ${fault.code}; ${letters.length} dead letters`;
    return { name: 'poison-batch', what, ...resultOf(mesh, run), also };
  });

export const slowWorker = () =>
  inMesh(async (mesh) => {
    await mesh.startWorker();
    const run = await disturbed(mesh, async () => {
      // Longer than the ack wait: without its signs of life its items would be taken from it.
      const slow = await mesh.startWorker({ environment: { WAIT_MS: `${ACK_WAIT_MS * 2}` } });
      await slow.until((line) => line.startsWith('start '));
      return { from: performance.now(), underWay: underWay([slow], PROMPTS) };
    });
    const what = `a worker joins that takes ${(ACK_WAIT_MS * 2) / 1000} s a batch, twice the ack wait`;
    return { name: 'slow-worker', what, ...resultOf(mesh, run), also: 'its items are not taken from it' };
  });

export const outOfMemory = () =>
  inMesh(async (mesh) => {
    const small = { environment: { ALLOCATE_ON: 'p5' }, nodeFlags: ['--max-old-space-size=64'] };
    const victim = await mesh.startWorker(small);
    const run = await disturbed(mesh, async () => {
      await victim.exited;
      const hit = { from: performance.now(), underWay: underWay([victim], PROMPTS) };
      await mesh.startWorker();
      return hit;
    });
    const what = 'a worker runs out of heap on a batch and aborts; another one is started';
    return { name: 'out-of-memory', what, ...resultOf(mesh, run), also: 'V8 ended the process itself' };
  });

export const duplicateDelivery = () =>
  inMesh(async (mesh) => {
    const frozen = await mesh.startWorker();
    await mesh.startWorker();
    const run = await disturbed(mesh, async () => {
      await frozen.until((line) => line.startsWith('start '));
      const hit = { from: performance.now(), underWay: underWay([frozen], PROMPTS) };
      process.kill(frozen.pid, 'SIGSTOP');
      await sleep(ACK_WAIT_MS * 1.5);
      process.kill(frozen.pid, 'SIGCONT');
      return hit;
    });
    const what = `a worker is frozen for ${(ACK_WAIT_MS * 1.5) / 1000} s, so that its items go to another one as well, then goes on`;
    return { name: 'duplicate-delivery', what, ...resultOf(mesh, run), also: 'each evaluation was answered once' };
  });

export const clockSkew = () =>
  inMesh(async (mesh) => {
    await mesh.startWorker({ clockShiftMs: 3_600_000 });
    const victim = await mesh.startWorker({ clockShiftMs: -86_400_000 });
    const run = await disturbed(mesh, async () => {
      const hit = { from: performance.now(), underWay: underWay([victim], PROMPTS) };
      await victim.kill('SIGKILL');
      return hit;
    });
    const what = "kill -9 a worker whose clock is a day behind; the other one's is an hour ahead";
    return {
      name: 'clock-skew',
      what,
      ...resultOf(mesh, run),
      also: 'only monotonic times and server sequences count',
    };
  });
