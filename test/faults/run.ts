/**
 * `npm run test:faults -- [--only NAME] [--embedded] [--outage-s N] [--json FILE] [--table]`: does real harm to a mesh of real processes
 * while it runs a small audit, and holds the report against that of an undisturbed run. Ends with status 1 if a report differs or an
 * evaluation was lost. `--table` rewrites the table of docs/faults.md.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import * as faults from './audit-faults.js';
import type { FaultResult } from './fault-result.js';
import { fullDisk } from './full-disk.js';
import { frozenLeader, killedLeader } from './leader-faults.js';
import { embeddedSubject, plantedSubject } from './subject.js';
import { type Baseline, type Fault, measureBaseline, tryFault } from './try-fault.js';
import { writeTable } from './write-table.js';

const PROMPTS = 8;

const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    only: { type: 'string', multiple: true },
    embedded: { type: 'boolean', default: false },
    'outage-s': { type: 'string', default: '20' },
    table: { type: 'boolean', default: false },
  },
});

const on = (fault: Fault) => (baseline: Baseline) => tryFault(baseline, fault);
const FAULTS: Readonly<Record<string, (baseline: Baseline) => Promise<FaultResult>>> = {
  'killed-worker': on(faults.killedWorker),
  'killed-coordinator': on(faults.killedCoordinator),
  'frozen-coordinator': on(faults.frozenCoordinator),
  'stopped-server': on(faults.stoppedServer(Number(values['outage-s']) * 1000)),
  'poison-batch': on(faults.poisonBatch),
  'slow-worker': on(faults.slowWorker),
  'out-of-memory': on(faults.outOfMemory),
  'full-disk': fullDisk,
  'duplicate-delivery': on(faults.duplicateDelivery),
  'clock-skew': on(faults.clockSkew),
  'killed-leader': killedLeader,
  'frozen-leader': frozenLeader,
};

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));

const chosen = Object.entries(FAULTS).filter(([name]) => values.only === undefined || values.only.includes(name));
if (chosen.length === 0) {
  throw new Error(`There is no fault "${values.only?.join()}": choose of ${Object.keys(FAULTS).join(', ')}.`);
}
const subject = values.embedded ? await embeddedSubject() : plantedSubject(PROMPTS);
const results: FaultResult[] = [];
const failures: string[] = [];
try {
  const baseline = await measureBaseline(subject);
  const { begun, seconds } = baseline.evidence;
  const undisturbed = { subject: subject.name, evaluations: begun, seconds };
  process.stdout.write(`undisturbed, ${subject.name}: ${begun} evaluations in ${seconds.toFixed(1)} s\n`);
  for (const [name, run] of chosen) {
    try {
      const result = await run(baseline);
      results.push(result);
      process.stdout.write(`${lineOf(result)}\n`);
    } catch (thrown) {
      failures.push(name);
      process.stdout.write(
        `${name.padEnd(20)} FAILED     ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`,
      );
    }
  }
  if (values.json !== undefined) {
    await writeFile(values.json, `${JSON.stringify({ undisturbed, faults: results, failures }, null, 2)}\n`);
  }
  if (values.table) await writeTable(undisturbed, results);
} finally {
  subject.close();
}
const isWell = ({ report_identical, lost }: FaultResult): boolean => report_identical && lost === 0;
process.exitCode = failures.length === 0 && results.every(isWell) ? 0 : 1;

function lineOf(result: FaultResult): string {
  if (result.skipped !== undefined) return `${result.name.padEnd(20)} skipped    ${result.skipped}`;
  const verdict = result.report_identical && result.lost === 0 ? 'same' : 'DIFFERENT';
  const counts = `lost ${result.lost}, redone ${result.redone}, recovered in ${result.recovery_s.toFixed(1)} s`;
  return `${result.name.padEnd(20)} ${verdict.padEnd(10)} ${counts}. ${result.what}; ${result.also}.`;
}
