/** `npm run bench:truth`: every planted mechanism over several seeds, without and with noise. docs/truth.md explains the columns. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fault, isFault } from '../../shared/errors/fault.js';
import { projectRoot } from '../../shared/project/root.js';
import { loadMechanism, type Mechanism } from './mechanism.js';
import { printTable } from './print-table.js';
import { type MechanismResult, runMechanism } from './run-mechanism.js';

const MECHANISMS = join(projectRoot, 'bench', 'truth', 'mechanisms');
const DEFAULT_SEEDS = 5;
/** Amplitude over the standard deviation of the noise: 18 dB. */
const PUBLISHED_SNR = 8;

function readOptions() {
  const { values } = parseArgs({
    options: {
      json: { type: 'string' },
      seeds: { type: 'string', default: String(DEFAULT_SEEDS) },
      mechanism: { type: 'string', multiple: true },
      snr: { type: 'string', default: String(PUBLISHED_SNR) },
      only: { type: 'string' },
      write: { type: 'boolean', default: false },
    },
  });
  const seeds = Number(values.seeds);
  const snr = Number(values.snr);
  if (!Number.isInteger(seeds) || seeds < 1 || seeds > 10_000)
    throw fault('REQUEST_INVALID', `--seeds is ${values.seeds}; 1 to 10000 are allowed.`);
  if (!(snr >= 1 && snr <= 1000)) throw fault('REQUEST_INVALID', `--snr is ${values.snr}; 1 to 1000 are allowed.`);
  if (values.only !== undefined && values.only !== 'clean' && values.only !== 'noise')
    throw fault('REQUEST_INVALID', `--only is ${values.only}; it may be "clean" or "noise".`);
  const files =
    values.mechanism ??
    readdirSync(MECHANISMS)
      .sort()
      .map((file) => join(MECHANISMS, file));
  return { json: values.json, seeds, snr, only: values.only, write: values.write, files };
}

/** Without and with noise; one that states its own ratio only with it. */
const variantsOf = (mechanism: Mechanism, snr: number, only: string | undefined): Mechanism[] =>
  mechanism.snr !== undefined
    ? [mechanism]
    : [...(only === 'noise' ? [] : [mechanism]), ...(only === 'clean' ? [] : [{ ...mechanism, snr }])];

async function run(): Promise<void> {
  const { json, seeds, snr, only, write, files } = readOptions();
  const results: MechanismResult[] = [];
  for (const mechanism of files.map(loadMechanism).flatMap((loaded) => variantsOf(loaded, snr, only))) {
    const result = await runMechanism(mechanism, seeds);
    results.push(result);
    const flaws = result.imperfect.length === 0 ? 'all right' : `not all right in seeds ${result.imperfect.join(', ')}`;
    process.stderr.write(`${result.mechanism}${result.snr === undefined ? '' : ` at SNR ${result.snr}`}: ${flaws}\n`);
    if (json !== undefined) writeFileSync(json, `${JSON.stringify({ seeds, results }, undefined, 2)}\n`);
  }
  const table = printTable(results);
  process.stdout.write(`${table}\n`);
  if (write) writePage(table, seeds);
}

const PAGE = join(projectRoot, 'docs', 'truth.md');
const TABLE = /(<!-- truth table[^\n]*-->\n)[\s\S]*?(<!-- end of truth table -->)/;

/** Replaces the table in docs/truth.md. */
function writePage(table: string, seeds: number): void {
  const text = readFileSync(PAGE, 'utf8');
  if (!TABLE.test(text)) throw fault('CONFIG_INVALID', `${PAGE} has no place for the table any more.`);
  writeFileSync(
    PAGE,
    text.replace(TABLE, (_, before, after) => `${before}${seeds} seeds each.\n\n${table}\n${after}`),
  );
}

run().catch((problem: unknown) => {
  process.stderr.write(
    `${isFault(problem) ? problem.message : String(problem instanceof Error ? problem.stack : problem)}\n`,
  );
  process.exitCode = 1;
});
