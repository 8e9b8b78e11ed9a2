/**
 * Load time and memory of a model of several GB, by weight mode:
 *
 *     node dist/bench/big-model/measure.js [--folder DIR] [--layers 16] [--threads 2] [--json FILE]
 */
import { existsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type MeasuredLoad, measureLoad } from './measure-load.js';
import { ONE_BILLION, writeRandomModel } from './write-random-model.js';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: join(tmpdir(), 'refusalscope-big-model') },
    layers: { type: 'string', default: String(ONE_BILLION.layers) },
    threads: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
});
if (!existsSync(join(values.folder, 'config.json'))) {
  const bytes = writeRandomModel(values.folder, { ...ONE_BILLION, layers: Number(values.layers) });
  console.log(`${(bytes / 1e9).toFixed(2)} GB of weights written to ${values.folder}`);
}
const rows: MeasuredLoad[] = [];
for (const mode of ['mapped-stored', 'mapped', 'spooled'])
  rows.push(await measureLoad(values.folder, mode, values.threads));
console.table(rows);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ rows }, undefined, 2)}\n`);
