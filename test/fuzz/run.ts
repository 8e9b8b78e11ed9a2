/**
 * `npm run test:fuzz -- [--cases N] [--seconds N] [--seed N] [--from N] [--only TARGET] [--json FILE] [--with FILE] [--table]`: hostile
 * input for every reader of files and for the RPC edge. `--with` adds the results of earlier runs (their --json) to the table. Ends with status 1 on a finding: an error that is not registered, a hang, a crash, memory that
 * grows. Every case can be made again from target, seed and number; the input of a finding is saved under fuzz-findings/.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { FuzzTarget } from './harness/fuzz-target.js';
import { runTarget } from './harness/run-target.js';
import { megabytes, type TargetResult } from './harness/target-result.js';
import { makeInput, type WatchLimits } from './harness/watch-cases.js';
import { mergeResults } from './merge-results.js';
import { FUZZ_TARGETS, findTarget } from './targets/registry.js';
import { writeTable } from './write-table.js';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '600' },
    seed: { type: 'string', default: '1' },
    from: { type: 'string', default: '0' },
    only: { type: 'string', multiple: true },
    'hang-s': { type: 'string', default: '10' },
    json: { type: 'string' },
    with: { type: 'string', multiple: true, default: [] },
    table: { type: 'boolean', default: false },
    save: { type: 'string', default: 'fuzz-findings' },
  },
});

const targets: readonly FuzzTarget[] = values.only?.map(findTarget) ?? FUZZ_TARGETS;
const weights = targets.reduce((sum, { weight }) => sum + weight, 0);
const from = Number(values.from);

/** `--cases` and `--seconds` are of the whole run; a target that is done early leaves its time unused. */
const limitsOf = ({ weight }: FuzzTarget): WatchLimits => ({
  seed: Number(values.seed),
  from,
  to: from + Math.ceil((Number(values.cases) * weight) / weights),
  seconds: Number(values.seconds) / targets.length,
  hangMs: Number(values['hang-s']) * 1000,
  maxHeapMb: 1024,
});

const results: TargetResult[] = [];
for (const target of targets) {
  const limits = limitsOf(target);
  const result = await runTarget(target, limits);
  results.push(result);
  process.stdout.write(`${lineOf(result)}\n`);
  for (const finding of result.findings) {
    process.stdout.write(
      `  ${finding.kind} at case ${finding.case ?? '?'}: ${finding.text.split('\n').join('\n    ')}\n`,
    );
    if (finding.case !== undefined) await saveInput(target, { ...limits, from: finding.case });
  }
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ results }, null, 2)}\n`);
if (values.table) writeTable(mergeResults([...values.with.map(earlier), results]));
process.stdout.write(`${results.reduce((sum, { cases }) => sum + cases, 0)} cases\n`);
process.exitCode = results.every(({ findings }) => findings.length === 0) ? 0 : 1;

function earlier(file: string): TargetResult[] {
  return (JSON.parse(readFileSync(file, 'utf8')) as { results: TargetResult[] }).results;
}

function lineOf({
  target,
  cases,
  seconds,
  accepted,
  slowestMs,
  slowestCase,
  warmBytes,
  endBytes,
  refused,
}: TargetResult): string {
  const rate = seconds > 0 ? Math.round(cases / seconds) : 0;
  const codes = Object.entries(refused).map(([code, count]) => `${code} ${count}`);
  const memory = `${megabytes(warmBytes)} to ${megabytes(endBytes)} MB`;
  return `${target.padEnd(20)} ${cases} cases, ${rate}/s, ${accepted} read, slowest ${slowestMs.toFixed(0)} ms (${slowestCase}), ${memory}; ${codes.join(', ')}`;
}

async function saveInput(target: FuzzTarget, limits: WatchLimits): Promise<void> {
  const folder = join(values.save, `${target.name}-${limits.seed}-${limits.from}`);
  const input = await makeInput(target.name, limits);
  for (const [name, bytes] of Object.entries(input)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
  const again = `npm run test:fuzz -- --only ${target.name} --seed ${limits.seed} --from ${limits.from} --cases 1`;
  process.stdout.write(`  input saved in ${folder}; again: ${again}\n`);
}
