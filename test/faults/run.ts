/**
 * `npm run test:faults -- [--only NAME] [--json FILE]`: does real harm to a mesh of real processes and compares with the undisturbed run.
 * Ends with status 1 if a number changed or an evaluation was lost.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import {
  clockSkew,
  duplicateDelivery,
  killedWorker,
  outOfMemory,
  poisonBatch,
  slowWorker,
  stoppedServer,
} from './evaluation-faults.js';
import type { FaultResult } from './fault-result.js';
import { frozenLeader, killedLeader } from './leader-faults.js';

const OUTAGE_MS = 20_000;

const FAULTS: Readonly<Record<string, () => Promise<FaultResult>>> = {
  'killed-worker': killedWorker,
  'stopped-server': () => stoppedServer(OUTAGE_MS),
  'poison-batch': poisonBatch,
  'slow-worker': slowWorker,
  'out-of-memory': outOfMemory,
  'duplicate-delivery': duplicateDelivery,
  'clock-skew': clockSkew,
  'killed-leader': killedLeader,
  'frozen-leader': frozenLeader,
};

const { values } = parseArgs({ options: { json: { type: 'string' }, only: { type: 'string' } } });
const results: FaultResult[] = [];
for (const [name, run] of Object.entries(FAULTS)) {
  if (values.only !== undefined && values.only !== name) continue;
  const result = await run();
  results.push(result);
  const verdict = result.report_identical && result.lost === 0 ? 'same' : 'DIFFERENT';
  const counts = `lost ${result.lost}, redone ${result.redone}, recovered in ${result.recovery_s.toFixed(1)} s`;
  process.stdout.write(`${name.padEnd(20)} ${verdict.padEnd(10)} ${counts}. ${result.what}; ${result.also}.\n`);
}
if (results.length === 0)
  throw new Error(`There is no fault "${values.only}": choose of ${Object.keys(FAULTS).join(', ')}.`);
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify({ faults: results }, null, 2)}\n`);
process.exitCode = results.every(({ report_identical, lost }) => report_identical && lost === 0) ? 0 : 1;
