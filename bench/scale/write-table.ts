/** Puts the figures of a run into docs/load.md, between the two marks of scaling. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';

export interface ScaleReport {
  readonly wait_ms: number;
  readonly evaluations_per_batch: number;
  readonly cpus: number;
  readonly throughput: readonly ThroughputRow[];
  readonly fairness: { readonly share_of_the_small_audit: number; readonly first_answer_ms: number };
}

interface ThroughputRow {
  readonly workers: number;
  readonly workers_a_process: number;
  readonly batches_per_s: number;
  readonly linear_batches_per_s: number;
  readonly share_of_linear: number;
  readonly cpu_ms_per_batch: { readonly requester: number; readonly server: number; readonly workers: number };
  readonly load_average: number | undefined;
}

const PAGE = join(projectRoot, 'docs', 'load.md');
const BEGIN = '<!-- scale: written by npm run bench:scale -- --table -->';
const END = '<!-- end of scale -->';

export const writeTable = async (report: ScaleReport): Promise<void> => {
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (after === undefined) throw new Error(`${PAGE} lacks its marks`);
  await writeFile(PAGE, `${before}${BEGIN}\n${tableOf(report)}\n${END}${after}`);
};

const tableOf = ({ throughput, fairness, ...report }: ScaleReport): string =>
  [
    `Measured on ${report.cpus} cores, ${cpus()[0]?.model.trim()}, which server, requester, workers and other work shared.`,
    '',
    '| workers | a process | batches/s | of what the waits allow | CPU ms a batch: requester | server | workers | load average |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
    ...throughput.map(rowOf),
    '',
    `Two audits on 8 workers, a large one first: the small one that joins gets its first answer after ${fairness.first_answer_ms.toFixed(0)} ms and ${percent(fairness.share_of_the_small_audit)} of the batches while both run.`,
  ].join('\n');

const rowOf = ({
  workers,
  workers_a_process,
  batches_per_s,
  linear_batches_per_s,
  share_of_linear,
  ...row
}: ThroughputRow): string => {
  const { requester, server, workers: ofWorkers } = row.cpu_ms_per_batch;
  const cells = [
    workers,
    workers_a_process,
    `${batches_per_s.toFixed(0)} of ${linear_batches_per_s.toFixed(0)}`,
    percent(share_of_linear),
    ...[requester, server, ofWorkers].map((ms) => ms.toFixed(2)),
    row.load_average?.toFixed(1) ?? '-',
  ];
  return `| ${cells.join(' | ')} |`;
};

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
