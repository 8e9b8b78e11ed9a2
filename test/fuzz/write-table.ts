/** Puts a run's figures into docs/fuzzing.md, between its two markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';
import { megabytes, type TargetResult } from './harness/target-result.js';

const PAGE = join(projectRoot, 'docs/fuzzing.md');
const BEGIN = '<!-- fuzz: written by npm run test:fuzz -- --table -->';
const END = '<!-- end of fuzz -->';

export const writeTable = (results: readonly TargetResult[]): void => {
  const page = readFileSync(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} lacks the markers ${BEGIN} and ${END}`);
  writeFileSync(PAGE, `${before}${BEGIN}\n\n${tableOf(results)}\n\n${END}${after}`);
};

const count = (value: number): string => value.toLocaleString('en-US');

const tableOf = (results: readonly TargetResult[]): string => {
  const total = (pick: (result: TargetResult) => number) => results.reduce((sum, result) => sum + pick(result), 0);
  return [
    `${count(total(({ cases }) => cases))} cases in ${count(Math.round(total(({ seconds }) => seconds)))} s; ${total(({ findings }) => findings.length)} findings. Node ${process.versions.node}, ${availableParallelism()} cores of ${cpus()[0]?.model.trim()}, at the lowest priority beside other work.`,
    '',
    '| target | what is read | cases | s | cases/s | read | refused | slowest, ms | memory held, MB | findings |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...results.map(rowOf),
  ].join('\n');
};

const rowOf = (result: TargetResult): string => {
  const { target, reads, cases, seconds, accepted, refused, slowestMs, warmBytes, endBytes, findings } = result;
  const refusals = Object.values(refused).reduce((sum, value) => sum + value, 0);
  const rate = seconds > 0 ? Math.round(cases / seconds) : 0;
  const cells = [
    `\`${target}\``,
    reads,
    count(cases),
    seconds.toFixed(0),
    count(rate),
    count(accepted),
    count(refusals),
    slowestMs.toFixed(0),
    `${megabytes(warmBytes)} → ${megabytes(endBytes)}`,
    findings.length === 0 ? '0' : findings.map(({ kind }) => kind).join(', '),
  ];
  return `| ${cells.join(' | ')} |`;
};
