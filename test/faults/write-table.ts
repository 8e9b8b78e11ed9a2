/** Puts the measured table between the two marks of docs/faults.md. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';
import type { FaultResult } from './fault-result.js';

const PAGE = join(projectRoot, 'docs', 'faults.md');
const BEGIN = '<!-- faults: written by npm run test:faults -- --table -->';
const END = '<!-- end of faults -->';

export interface Undisturbed {
  readonly subject: string;
  readonly evaluations: number;
  readonly seconds: number;
}

export const writeTable = async (undisturbed: Undisturbed, results: readonly FaultResult[]): Promise<void> => {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} lacks its marks`);
  await writeFile(PAGE, `${before}${BEGIN}\n${tableOf(undisturbed, results)}\n${END}${after}`);
};

const tableOf = ({ subject, evaluations, seconds }: Undisturbed, results: readonly FaultResult[]): string =>
  [
    `Undisturbed: ${subject}, ${evaluations} evaluations over the queue, ${seconds.toFixed(1)} s. On ${availableParallelism()} cores, ${cpus()[0]?.model.trim()}, shared with other work.`,
    '',
    '| fault | what is done | report | lost | redone | recovery, s | and |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    ...results.map(rowOf),
  ].join('\n');

const rowOf = (result: FaultResult): string => {
  const { name, what, report_identical, lost, redone, recovery_s, also, max_difference, skipped } = result;
  if (skipped !== undefined) return `| ${name} | ${what} | not run: ${skipped} | | | | ${also} |`;
  return `| ${name} | ${what} | ${report_identical ? sameness(max_difference) : 'DIFFERENT'} | ${lost} | ${redone} | ${recovery_s.toFixed(1)} | ${also} |`;
};

/** Undefined: no audit was run, what was counted is right. */
const sameness = (maxDifference: number | undefined): string => {
  if (maxDifference === undefined) return 'no audit: each count once, none by two';
  return maxDifference === 0 ? 'equal to the bit' : 'equal';
};
