/** `npm run bench:truth`: every planted mechanism over several seeds, without and with noise. docs/truth.md explains the columns. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fault, isFault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import { assertSearchable } from './assert-searchable.js';
import { loadMechanism, type Mechanism } from './mechanism.js';
import { printAgainstModel, printTable } from './print-table.js';
import { openRunFile } from './run-file.js';
import type { SeedRun } from './run-seed.js';
import { runTasks } from './seed-pool.js';
import { isPerfect, type MechanismResult, summarizeRuns } from './summarize-runs.js';
import { targetLines, toTruthResult } from './truth-result.js';

const MECHANISMS = join(projectRoot, 'bench', 'truth', 'mechanisms');
const DEFAULT_SEEDS = 5;
/** Amplitude over the standard deviation of the noise: 20 dB. */
const PUBLISHED_SNR = 10;
const PROGRESS_EVERY = 20;

function readOptions() {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      seeds: { type: 'string', default: String(DEFAULT_SEEDS) },
      'noise-seeds': { type: 'string' },
      mechanism: { type: 'string', multiple: true },
      snr: { type: 'string', default: String(PUBLISHED_SNR) },
      only: { type: 'string' },
      jobs: { type: 'string', default: '1' },
      runs: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const seeds = Number(values.seeds);
  const noiseSeeds = Number(values['noise-seeds'] ?? values.seeds);
  const snr = Number(values.snr);
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 10_000)
    throw fault('REQUEST_INVALID', `--seeds is ${values.seeds}; 1 to 10000 are allowed.`);
  if (!Number.isInteger(noiseSeeds) || noiseSeeds < 1 || noiseSeeds > seeds)
    throw fault('REQUEST_INVALID', `--noise-seeds is ${values['noise-seeds']}; 1 to --seeds are allowed.`);
  const jobs = Number(values.jobs);
  if (!Number.isInteger(jobs) || jobs < 1 || jobs > 64)
    throw fault('REQUEST_INVALID', `--jobs is ${values.jobs}; 1 to 64 are allowed.`);
  if (!(snr >= 1 && snr <= 1000)) throw fault('REQUEST_INVALID', `--snr is ${values.snr}; 1 to 1000 are allowed.`);
  if (values.only !== undefined && values.only !== 'clean' && values.only !== 'noise')
    throw fault('REQUEST_INVALID', `--only is ${values.only}; it may be "clean" or "noise".`);
  const files =
    values.mechanism ??
    readdirSync(MECHANISMS)
      .sort()
      .map((file) => join(MECHANISMS, file));
  return {
    json: values.json,
    seeds,
    noiseSeeds,
    snr,
    only: values.only,
    write: values.write,
    jobs,
    runs: values.runs,
    files,
  };
}

function loadSearchable(path: string): Mechanism {
  const mechanism = loadMechanism(path);
  assertSearchable(mechanism, path);
  return mechanism;
}

/** Without and with noise; one that states its own ratio only with it. */
const variantsOf = (mechanism: Mechanism, snr: number, only: string | undefined): Mechanism[] =>
  mechanism.snr !== undefined
    ? [mechanism]
    : [...(only === 'noise' ? [] : [mechanism]), ...(only === 'clean' ? [] : [{ ...mechanism, snr }])];

async function run(): Promise<void> {
  const { json, seeds, noiseSeeds, snr, only, write, files, jobs, runs: runsPath } = readOptions();
  const mechanisms = files.map(loadSearchable).flatMap((loaded) => variantsOf(loaded, snr, only));
  const runs = openRunFile(runsPath);
  // Seeds outermost: a table that is cut off has fewer seeds, not fewer mechanisms.
  const seedsOf = (mechanism: Mechanism): number => (mechanism.snr === undefined ? seeds : noiseSeeds);
  const tasks = seedsUpTo(seeds).flatMap((seed) =>
    mechanisms.filter((mechanism) => seed <= seedsOf(mechanism)).map((mechanism) => ({ mechanism, seed })),
  );
  const missing = tasks.filter((task) => runs.get(task) === undefined);
  let done = 0;
  await runTasks(missing, jobs, (task, run) => {
    runs.add(task, run);
    done++;
    if (!isPerfect(run.score)) process.stderr.write(`${titleOf(task.mechanism)}, seed ${task.seed}: not all right\n`);
    else if (done % PROGRESS_EVERY === 0) process.stderr.write(`${done} of ${missing.length} runs\n`);
  });
  report(mechanisms.map((mechanism) => summarizeRuns(mechanism, runsOf(mechanism))));

  function runsOf(mechanism: Mechanism): SeedRun[] {
    return seedsUpTo(seedsOf(mechanism)).flatMap((seed) => runs.get({ mechanism, seed }) ?? []);
  }

  function report(results: readonly MechanismResult[]): void {
    const result = toTruthResult(results, seeds);
    const againstModel = printAgainstModel(results);
    const text = [
      printTable(results),
      ...(againstModel === undefined ? [] : [`With noise, against the model itself:\n\n${againstModel}`]),
      targetLines(result).join('\n'),
    ].join('\n\n');
    process.stdout.write(`${text}\n`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(result, undefined, 2)}\n`);
    if (write) writePage(text);
  }
}

const seedsUpTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1);

const titleOf = ({ name, snr }: Mechanism): string => `${name}${snr === undefined ? '' : ` at SNR ${snr}`}`;

const PAGE = join(projectRoot, 'docs', 'truth.md');
const TABLE = /(<!-- truth table[^\n]*-->\n)[\s\S]*?(<!-- end of truth table -->)/;

/** Replaces the table in docs/truth.md. */
function writePage(table: string): void {
  const text = readFileSync(PAGE, 'utf8');
  if (!TABLE.test(text)) throw fault('CONFIG_INVALID', `${PAGE} has no place for the table any more.`);
  writeFileSync(
    PAGE,
    text.replace(TABLE, (_, before, after) => `${before}\n${table}\n${after}`),
  );
}

run().catch((problem: unknown) => {
  process.stderr.write(
    `${isFault(problem) ? problem.message : String(problem instanceof Error ? problem.stack : problem)}\n`,
  );
  process.exitCode = 1;
});
