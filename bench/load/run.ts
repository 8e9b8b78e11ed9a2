/**
 * npm run bench:load [-- --json FILE] [--minutes N] [--table] [--planted-only]: inference and SAE as processes on loopback under unary and
 * streaming calls. Capacity, ten minutes of steady load with the memory of both processes, then twice the capacity. Ends by itself, and
 * with status 1 if a call was lost, failed, or was refused under a load that fits.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import { CALLS, startLoadMesh } from './load-mesh.js';
import { embeddedLoad, type LoadSubject, plantedLoad } from './load-subject.js';
import { type CallFigures, loadSteadily, measureCapacity, type OverloadFigures, overload } from './phases.js';
import { type LoadReport, tablesOf, writeTable } from './write-table.js';

const CAPACITY_S = 8;
const OVERLOAD_S = 30;
/** Of the capacity: a load that a mesh is meant to carry for long. */
const STEADY_SHARE = 0.5;
const SEED = 11;

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    minutes: { type: 'string', default: '10' },
    table: { type: 'boolean', default: false },
    'planted-only': { type: 'boolean', default: false },
  },
});
const minutes = Number(flags.minutes);
if (!(minutes > 0 && minutes <= 60)) throw new RangeError('--minutes must be above 0 and at most 60');

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const say = (text: string): void => void process.stderr.write(`${text}\n`);
const random = createSeededRandom(SEED);

async function underLoad<Result>(
  subject: LoadSubject,
  run: (mesh: Awaited<ReturnType<typeof startLoadMesh>>) => Promise<Result>,
): Promise<Result> {
  const mesh = await startLoadMesh(subject, random.fork(subject.name));
  try {
    return await run(mesh);
  } finally {
    await mesh.close();
    subject.close();
  }
}

const planted = await underLoad(plantedLoad(), async (mesh) => {
  say('capacity, one kind of call at a time');
  const capacity = await measureCapacity(mesh, CALLS, CAPACITY_S);
  say(`steady load, ${minutes} minutes`);
  const steady = await loadSteadily(mesh, capacity, { minutes, share: STEADY_SHARE, random });
  say('twice the capacity');
  return { capacity, steady, overload: await overload(mesh, { seconds: OVERLOAD_S, random }) };
});
const tell = async (embedded?: OverloadFigures): Promise<LoadReport> => {
  const report: LoadReport = {
    machine: `${availableParallelism()} cores, ${cpus()[0]?.model.trim()}`,
    load_average: loadavg()[2] ?? Number.NaN,
    steady_share: STEADY_SHARE,
    ...planted,
    ...(embedded && { overload_embedded: embedded }),
  };
  if (flags.json !== undefined) await writeFile(flags.json, `${JSON.stringify(report, null, 2)}\n`);
  if (flags.table) await writeTable(report);
  return report;
};

// What took ten minutes is kept, whatever becomes of the rest.
let report = await tell();
if (!flags['planted-only']) {
  say('twice the capacity, embedded model');
  const subject = await embeddedLoad();
  report = await tell(await underLoad(subject, (mesh) => overload(mesh, { seconds: OVERLOAD_S, random })));
}
process.stdout.write(`${tablesOf(report)}\n`);

const isWell = ({ lost, failed }: CallFigures): boolean => lost === 0 && Object.keys(failed).length === 0;
const isCarried = (figures: CallFigures): boolean => isWell(figures) && figures.refused === 0;
const isRefusing = ({ overloaded, health, afterwards }: OverloadFigures): boolean =>
  isWell(overloaded) && overloaded.refused > 0 && isCarried(health) && isCarried(afterwards);
const overloads = [report.overload, report.overload_embedded].filter((one) => one !== undefined);
process.exitCode = report.steady.calls.every(isCarried) && overloads.every(isRefusing) ? 0 : 1;
