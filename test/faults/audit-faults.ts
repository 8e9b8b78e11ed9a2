/** The faults: what is done to which process, and how the moment of recovery is seen. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openEvaluationQueue } from '../../shared/bus/evaluation-work.js';
import { openBusStore } from './audit-run.js';
import {
  ACK_WAIT_S,
  freezeMidBatch,
  LEASE_S,
  type ServiceMesh,
  underWay,
  untilAnyComputed,
  untilComputed,
} from './service-mesh.js';
import type { Fault } from './try-fault.js';

const HOG = new URL('./hog-memory.js', import.meta.url);
const HOUR_MS = 3_600_000;

/** The worker that only pulls; the first one also answers calls. */
const puller = ({ workers }: ServiceMesh) => workers[1]!;

/** Gives the ms until the batches that it held were computed by another worker. */
export const killMidBatch = async (mesh: ServiceMesh): Promise<number> => {
  const held = await freezeMidBatch(puller(mesh));
  const from = performance.now();
  await puller(mesh).kill('SIGKILL');
  return (await untilComputed(held, () => mesh.workers, from)) - from;
};

export const killedWorker: Fault = {
  name: 'killed-worker',
  what: 'kill -9 one of two inference workers in the middle of a batch',
  also: `the batches of a silent worker move on after ${ACK_WAIT_S} s (30 s by default)`,
  strike: killMidBatch,
};

export const killedCoordinator: Fault = {
  name: 'killed-coordinator',
  what: 'kill -9 the coordinator and start another one',
  also: `a dead coordinator's lease stands for ${LEASE_S} s (10 s by default); recovery includes the start of the other`,
  strike: async (mesh, coordinators) => {
    await untilAnyComputed(() => mesh.workers, performance.now());
    const from = performance.now();
    await coordinators[0]!.process.kill('SIGKILL');
    const next = await mesh.startCoordinator();
    coordinators.push(next);
    return (await next.process.until(({ msg }) => msg === 'audit taken over', from)).at - from;
  },
};

export const frozenCoordinator: Fault = {
  name: 'frozen-coordinator',
  what: 'freeze the coordinator until another one has taken the audit over, then let it go on as if it still led',
  also: 'what the first one then writes is refused by its fence; events have no gaps and the audit ends once',
  strike: async (mesh, coordinators) => {
    const second = await mesh.startCoordinator();
    coordinators.push(second);
    const from = performance.now();
    coordinators[0]!.process.signal('SIGSTOP');
    const takenOver = await second.process.until(({ msg }) => msg === 'audit taken over', from);
    coordinators[0]!.process.signal('SIGCONT');
    return takenOver.at - from;
  },
};

export const stoppedServer = (outageMs: number): Fault => ({
  name: 'stopped-server',
  what: `kill -9 nats-server and start it after ${outageMs / 1000} s with its store`,
  also: 'no other process was restarted; recovery is counted from its return',
  strike: async (mesh) => {
    await mesh.server.stop('SIGKILL');
    await sleep(outageMs);
    await mesh.server.start();
    const from = performance.now();
    return (await untilAnyComputed(() => mesh.workers, from)) - from;
  },
});

/** Gives the ms until all of it is in dead letters. */
export async function poisonQueue(mesh: ServiceMesh): Promise<number> {
  const { bus, close } = await openBusStore(mesh);
  try {
    const queue = await openEvaluationQueue(bus, mesh.subject.modelEnvironment.REFUSALSCOPE_MODEL_NAME!);
    const from = performance.now();
    const poison = [Buffer.from([0xff, 0xff, 0xff]), Buffer.alloc(64, 0x07)];
    for (const payload of poison) await queue.publish({ requester: 'poisoner', payload });
    for (;;) {
      const letters = await queue.deadLetters();
      const told = letters.filter(({ failure }) => failure.code === 'REQUEST_INVALID' && failure.text !== '');
      if (told.length === poison.length) return performance.now() - from;
      if (performance.now() - from > 60_000) throw new Error(`${told.length} of ${poison.length} dead letters`);
      await sleep(50);
    }
  } finally {
    await close();
  }
}

export const poisonBatch: Fault = {
  name: 'poison-batch',
  what: 'another requester queues batches that no worker can read',
  also: 'each is a dead letter with its reason and payload at the first try; recovery is until both are',
  strike: poisonQueue,
};

/** Of every 400 ms it runs for 40. */
const throttle = (worker: ReturnType<typeof puller>): (() => void) => {
  const timer = setInterval(() => {
    worker.signal('SIGCONT');
    setTimeout(() => worker.signal('SIGSTOP'), 40);
  }, 400);
  return () => {
    clearInterval(timer);
    setTimeout(() => worker.signal('SIGCONT'), 100);
  };
};

export const slowWorker: Fault = {
  name: 'slow-worker',
  what: 'one of two workers gets a tenth of its time for 10 s',
  also: 'its batches are not taken from it; recovery is until what it held at the start is done',
  strike: async (mesh) => {
    const held = await freezeMidBatch(puller(mesh));
    const from = performance.now();
    const end = throttle(puller(mesh));
    const done = await untilComputed(held, () => mesh.workers, from);
    await sleep(Math.max(0, 10_000 - (performance.now() - from)));
    end();
    return done - from;
  },
};

export const outOfMemory: Fault = {
  name: 'out-of-memory',
  what: 'a worker with a heap of 96 MB runs out of it in the middle of a batch; another one is started',
  also: 'V8 ended the process itself',
  strike: async (mesh) => {
    // In the place of the one without a limit.
    await puller(mesh).kill('SIGTERM');
    const small = await mesh.startWorker({ nodeFlags: ['--max-old-space-size=96', '--import', HOG.href] });
    const held = await freezeMidBatch(small);
    const from = performance.now();
    small.signal('SIGUSR2');
    small.signal('SIGCONT');
    await small.exited;
    const left = held.filter((id) => underWay(small).includes(id));
    await mesh.startWorker();
    return (await untilComputed(left, () => mesh.workers, from)) - from;
  },
};

export const duplicateDelivery: Fault = {
  name: 'duplicate-delivery',
  what: `freeze a worker in the middle of a batch for ${1.5 * ACK_WAIT_S} s: its batches go to the other one as well, then it goes on`,
  also: 'both computed the same batch, and each evaluation is in the checkpoint once',
  strike: async (mesh) => {
    const held = await freezeMidBatch(puller(mesh));
    const from = performance.now();
    await sleep(1.5 * ACK_WAIT_S * 1000);
    const done = await untilComputed(held, () => [mesh.workers[0]!], from);
    puller(mesh).signal('SIGCONT');
    await untilComputed(held, () => [puller(mesh)], from);
    return done - from;
  },
};

export const clockSkew: Fault = {
  name: 'clock-skew',
  what: 'all clocks are a day behind but that of a second coordinator, an hour ahead; kill -9 a worker mid-batch, then the first coordinator',
  also: 'only monotonic times and server sequences count; recovery is of both, one after the other',
  everywhere: { clockShiftMs: -24 * HOUR_MS },
  strike: async (mesh, coordinators) => {
    const second = await mesh.startCoordinator({ clockShiftMs: HOUR_MS });
    coordinators.push(second);
    const worker = await killMidBatch(mesh);
    const from = performance.now();
    await coordinators[0]!.process.kill('SIGKILL');
    return worker + (await second.process.until(({ msg }) => msg === 'audit taken over', from)).at - from;
  },
};
