/** The figures as tables, and into docs/load.md between its two marks. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';
import { EVALUATIONS } from './load-mesh.js';
import { CALLS_AT_ONCE } from './load-subject.js';
import type { CallFigures, OverloadFigures, SteadyFigures } from './phases.js';

export interface LoadReport {
  readonly machine: string;
  /** Of the last 15 minutes, at the end: what else the machine did is in it too. */
  readonly load_average: number;
  readonly steady_share: number;
  readonly capacity: readonly CallFigures[];
  readonly steady: SteadyFigures;
  readonly overload: OverloadFigures;
  readonly overload_embedded?: OverloadFigures;
}

const PAGE = join(projectRoot, 'docs', 'load.md');
const BEGIN = '<!-- load: written by npm run bench:load -- --table -->';
const END = '<!-- end of load -->';

export const writeTable = async (report: LoadReport): Promise<void> => {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} lacks its marks`);
  await writeFile(PAGE, `${before}${BEGIN}\n${tablesOf(report)}\n${END}${after}`);
};

export const tablesOf = (report: LoadReport): string =>
  [
    `Measured on ${report.machine}, which the load generator and other work shared (load average ${report.load_average.toFixed(1)}).`,
    '',
    `Capacity, planted model, 16 callers, one kind of call at a time:`,
    '',
    '| call | calls/s | p50 ms | p99 ms |',
    '| --- | --- | --- | --- |',
    ...report.capacity.map((one) => row(LABELS[one.call], one.per_s, one.p50_ms, one.p99_ms)),
    '',
    ...steadyTable(report),
    '',
    ...overloadTable([
      ['planted model', report.overload],
      ['embedded model', report.overload_embedded],
    ]),
  ].join('\n');

const LABELS = {
  health: 'Health/Check (unary)',
  describe: 'DescribeModel (unary)',
  tokenize: 'Tokenize (unary)',
  nearest: 'FindNearestFeatures (unary, sae)',
  evaluate: `EvaluateMasks (streaming, ${EVALUATIONS} evaluations)`,
} as const;

const steadyTable = ({ steady, steady_share }: LoadReport): string[] => [
  `Steady load for ${steady.minutes} minutes, all kinds at once, EvaluateMasks at ${steady_share * 100} % of its capacity:`,
  '',
  '| call | calls | calls/s | p50 ms | p99 ms | refused | failed | lost | sent late, p99 ms |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ...steady.calls.map((one) =>
    row(
      LABELS[one.call],
      one.started,
      one.per_s,
      one.p50_ms,
      one.p99_ms,
      one.refused,
      failedOf(one),
      one.lost,
      one.late_p99_ms ?? '-',
    ),
  ),
  '',
  '| process | memory after a tenth of it, MB | at the end | peak | slope of the last two thirds, MB a minute |',
  '| --- | --- | --- | --- | --- |',
  ...Object.entries(steady.memory).map(([name, { start_mb, end_mb, peak_mb, slope_mb_per_minute }]) =>
    row(name, start_mb, end_mb, peak_mb, slope_mb_per_minute.toFixed(2)),
  ),
];

const overloadTable = (overloads: readonly (readonly [string, OverloadFigures | undefined])[]): string[] => [
  `Twice the capacity, EvaluateMasks, at most ${CALLS_AT_ONCE.planted} calls at once with the planted model and ${CALLS_AT_ONCE.embedded} with the embedded one (\`REFUSALSCOPE_MAX_CALLS\`):`,
  '',
  '| | asked/s | answered/s | p50 ms | p99 ms | refused/s | refusal p50 ms | p99 ms | failed | lost | sent late, p99 ms | health p99 ms | p50 ms afterwards |',
  '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
  ...overloads.flatMap(([name, one]) => (one === undefined ? [] : [overloadRow(name, one)])),
];

const overloadRow = (name: string, { asked_per_s, seconds, overloaded, health, afterwards }: OverloadFigures): string =>
  row(
    name,
    asked_per_s,
    overloaded.per_s,
    overloaded.p50_ms,
    overloaded.p99_ms,
    overloaded.refused / seconds,
    overloaded.refused_p50_ms ?? '-',
    overloaded.refused_p99_ms ?? '-',
    failedOf(overloaded),
    overloaded.lost,
    overloaded.late_p99_ms ?? '-',
    health.p99_ms,
    afterwards.p50_ms,
  );

const failedOf = ({ failed }: CallFigures): string => {
  const codes = Object.entries(failed).map(([code, count]) => `${count} ${code}`);
  return codes.length === 0 ? '0' : codes.join(', ');
};

const row = (...cells: readonly (string | number)[]): string =>
  `| ${cells.map((cell) => (typeof cell === 'string' ? cell : short(cell))).join(' | ')} |`;

const short = (value: number): string =>
  Number.isInteger(value) || value >= 100 ? value.toFixed(0) : value.toFixed(1);
