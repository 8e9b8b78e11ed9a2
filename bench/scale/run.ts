/**
 * npm run bench:scale [-- --json FILE] [--workers 1,2,4] [--a-process N] [--table]: how evaluation scales over a real nats-server, 1 to 32
 * workers whose model is a fixed wait of 50 ms a batch, so that what is measured is the mesh. Throughput is compared with what the waits
 * alone would allow (workers / 50 ms); then two audits share 8 workers, a large one that is there first and a small one that joins it.
 * Each worker has a connection, slots and a wait of its own; where there would be more than four processes a core, several workers share
 * one (`--a-process` sets how many). `--table` writes the figures into docs/load.md.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type { Bus } from '../../shared/bus/bus.js';
import { publishEvaluations } from '../../shared/bus/evaluation-work.js';
import { connectNatsBus } from '../../shared/bus/nats/connect-nats-bus.js';
import { createLogger } from '../../shared/log/create-logger.js';
import { type NatsServer, startNatsServer } from '../../test/fixtures/nats/nats-server.js';
import { STAND_IN_MODEL, standInRequest } from '../../test/fixtures/nats/stand-in-model.js';
import { type StartedProcess, startProcess } from '../../test/fixtures/nats/start-process.js';
import { writeTable } from './write-table.js';

const WAIT_MS = 50;
// Small, so that the mesh and not the numbers inside a batch is what costs.
const BATCH = 8;
const MEASURED_MS = 6_000;
const WARM_MS = 2_000;
// Of /proc/PID/stat on Linux.
const MS_PER_TICK = 10;
const WORKER = new URL('../../test/fixtures/nats/evaluation-worker.js', import.meta.url);

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    workers: { type: 'string', default: '1,2,4,8,16,32' },
    'a-process': { type: 'string' },
    table: { type: 'boolean', default: false },
  },
});
const PROCESSES_A_CORE = 4;
/** More processes than this would be measured, and not the mesh. */
const workersAProcess = (workers: number): number =>
  Math.max(1, Number(values['a-process'] ?? Math.ceil(workers / (PROCESSES_A_CORE * cpus().length))));

interface Mesh {
  readonly bus: Bus;
  readonly processes: Readonly<Record<'requester' | 'server' | 'workers', readonly number[]>>;
  readonly close: () => Promise<void>;
}

const startMesh = async ({ url, pid = 0 }: NatsServer, workers: number): Promise<Mesh> => {
  const namespace = `scale-${randomUUID()}`;
  const environment = { BUS_SERVERS: url, BUS_NAMESPACE: namespace, WAIT_MS: String(WAIT_MS), QUIET: '1' };
  const processes: StartedProcess[] = [];
  // Four at a time: more would only slow each other down while they load.
  const aProcess = workersAProcess(workers);
  const sizes = Array.from({ length: Math.ceil(workers / aProcess) }, (_, i) =>
    Math.min(aProcess, workers - i * aProcess),
  );
  for (let first = 0; first < sizes.length; first += 4) {
    const group = sizes
      .slice(first, first + 4)
      .map((size) => startProcess(WORKER, { ...environment, WORKERS: `${size}` }));
    processes.push(...group);
    await Promise.all(group.map((one) => one.until((line) => line === 'ready', 60_000)));
  }
  const bus = await connectNatsBus({ servers: [url], namespace, logger: createLogger('scale', 'error') });
  return {
    bus,
    processes: { requester: [process.pid], server: [pid], workers: processes.map((one) => one.pid) },
    close: async () => {
      await bus.close();
      await Promise.all(processes.map((one) => one.kill('SIGKILL')));
    },
  };
};

/** When each batch was answered, in ms since the audit began. */
const runAudit = async (bus: Bus, requester: string, batches: number, signal?: AbortSignal): Promise<number[]> => {
  const startedAt = performance.now();
  const answeredAt: number[] = [];
  // Prompts of their own, so that no batch has been computed before.
  const prompts = Array.from({ length: batches }, (_, i) => `${requester}-${i}`);
  const options = { requester, modelDigest: STAND_IN_MODEL.digest, batchSize: BATCH, ...(signal && { signal }) };
  try {
    for await (const _ of publishEvaluations(bus, standInRequest(prompts, BATCH), options)) {
      answeredAt.push(performance.now() - startedAt);
    }
  } catch (thrown) {
    if (signal?.aborted !== true) throw thrown;
  }
  return answeredAt;
};

const measureThroughput = async (server: NatsServer, workers: number) => {
  const mesh = await startMesh(server, workers);
  try {
    const linear = (workers * 1000) / WAIT_MS;
    const stop = AbortSignal.timeout(WARM_MS + MEASURED_MS);
    const batches = Math.ceil((linear * (WARM_MS + MEASURED_MS) * 1.2) / 1000);
    const cpuBefore = cpuMsOf(mesh.processes);
    const answeredAt = await runAudit(mesh.bus, `throughput-${workers}`, batches, stop);
    const cpuAfter = cpuMsOf(mesh.processes);
    const cpuOf = (part: keyof Mesh['processes']) => (cpuAfter[part] - cpuBefore[part]) / answeredAt.length;
    const counted = answeredAt.filter((at) => at >= WARM_MS && at < WARM_MS + MEASURED_MS).length;
    const batchesPerSecond = (counted * 1000) / MEASURED_MS;
    return {
      workers,
      workers_a_process: workersAProcess(workers),
      batches_per_s: batchesPerSecond,
      evaluations_per_s: batchesPerSecond * BATCH,
      linear_batches_per_s: linear,
      share_of_linear: batchesPerSecond / linear,
      // Together, times batches_per_s, they must stay below the machine's cores.
      cpu_ms_per_batch: { requester: cpuOf('requester'), server: cpuOf('server'), workers: cpuOf('workers') },
      load_average: loadavg()[0],
    };
  } finally {
    await mesh.close();
  }
};

const cpuMsOf = ({ requester, server, workers }: Mesh['processes']) => ({
  requester: cpuMsOfAll(requester),
  server: cpuMsOfAll(server),
  workers: cpuMsOfAll(workers),
});

/** User and system time since their start, in ms; 0 for one that is gone. */
const cpuMsOfAll = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      return sum + (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
    } catch {
      return sum;
    }
  }, 0);

const measureFairness = async (server: NatsServer) => {
  const workers = 8;
  const mesh = await startMesh(server, workers);
  try {
    const linear = (workers * 1000) / WAIT_MS;
    const stop = AbortSignal.timeout(10_000);
    const large = runAudit(mesh.bus, 'large', Math.ceil(linear * 12), stop);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const small = await runAudit(mesh.bus, 'small', 320);
    const together = small.at(-1) ?? 0;
    const largeMeanwhile = (await large).filter((at) => at >= 2_000 && at < 2_000 + together).length;
    return {
      workers,
      small_audit_batches: small.length,
      first_answer_ms: small[0] ?? 0,
      small_audit_s: together / 1000,
      alone_would_take_s: small.length / linear,
      share_of_the_small_audit: small.length / (small.length + largeMeanwhile),
    };
  } finally {
    await mesh.close();
  }
};

const server = await startNatsServer();
try {
  const throughput = [];
  process.stdout.write(
    'workers  batches/s  evaluations/s  share of linear  CPU ms/batch: requester  server  workers\n',
  );
  for (const workers of values.workers.split(',').map(Number)) {
    const row = await measureThroughput(server, workers);
    throughput.push(row);
    const { requester, server: ofServer, workers: ofWorkers } = row.cpu_ms_per_batch;
    const cells = [
      String(workers).padStart(7),
      row.batches_per_s.toFixed(1).padStart(9),
      row.evaluations_per_s.toFixed(0).padStart(13),
      `${(row.share_of_linear * 100).toFixed(1)} %`.padStart(15),
      ...[requester, ofServer, ofWorkers].map((ms) => ms.toFixed(2).padStart(8)),
    ];
    process.stdout.write(`${cells.join('  ')}\n`);
  }
  const fairness = await measureFairness(server);
  process.stdout.write(`fairness ${JSON.stringify(fairness)}\n`);
  const report = {
    wait_ms: WAIT_MS,
    evaluations_per_batch: BATCH,
    cpus: cpus().length,
    throughput,
    fairness,
  };
  if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(report, null, 2)}\n`);
  if (values.table) await writeTable(report);
} finally {
  await server.close();
}
