/** Puts a run's figures into docs/performance.md, between its two markers. */
import { readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../shared/project/root.js';
import type { BenchFigures } from './main.js';

const PAGE = join(projectRoot, 'docs/performance.md');
const BEGIN = '<!-- bench: begin -->';
const END = '<!-- bench: end -->';

const NAMES: Readonly<Record<string, string>> = {
  grpc: 'RefusalScope through gRPC',
  direct: 'RefusalScope, engine called directly',
  transformerlens_saelens: 'TransformerLens + SAELens hooks',
  pytorch_tuned: 'PyTorch, hand-optimized',
};

export function rewriteTable(figures: BenchFigures): void {
  const page = readFileSync(PAGE, 'utf8');
  const [head, rest] = page.split(BEGIN);
  const tail = rest?.split(END)[1];
  if (tail === undefined) throw new Error(`${PAGE} lacks the markers ${BEGIN} and ${END}`);
  writeFileSync(PAGE, `${head}${BEGIN}\n\n${tables(figures)}\n\n${END}${tail}`);
}

function tables({ raw, ...figures }: BenchFigures): string {
  const ours = raw.contestants.grpc.evaluations_per_second;
  const contestants = Object.entries(raw.contestants).map(
    ([name, { evaluations_per_second: rate, peak_rss_mb, notes }]) =>
      [NAMES[name] ?? name, rate.toFixed(1), `${(ours / rate).toFixed(2)} x`, peak_rss_mb.toFixed(0), notes].join(
        ' | ',
      ),
  );
  const growth = raw.growth.map(({ axis, value, evaluations, evaluations_per_second: rate, token_blocks }) =>
    [axis, value, evaluations, rate.toFixed(1), token_blocks.toFixed(0)].join(' | '),
  );
  return [
    `${availableParallelism()} cores, ${cpus()[0]?.model.trim()}; ${raw.evaluations} evaluations, ${raw.rounds} rounds in turns, medians; largest score difference ${raw.max_score_difference.toExponential(1)}.`,
    '',
    '| contestant | evaluations/s | ours against it | peak MB | notes |',
    '| --- | --- | --- | --- | --- |',
    ...contestants.map((row) => `| ${row} |`),
    '',
    '| figure | value |',
    '| --- | --- |',
    `| gRPC against direct calls | ${(100 * figures.grpc_overhead).toFixed(1)} % |`,
    `| float32 block against the ${raw.peak.peak_gflops.toFixed(0)} GFLOP/s matrix-multiply peak | ${(100 * raw.peak.share).toFixed(0)} % |`,
    `| evaluations of stage 2 against plain greedy (${raw.stage_two.prompts} prompts; set sizes ${raw.stage_two.group_sizes.join(' ')} against ${raw.stage_two.greedy_sizes.join(' ')}) | ${(100 * raw.stage_two.share).toFixed(0)} % |`,
    `| longest pause of the event loop | ${raw.event_loop_max_ms.toFixed(0)} ms |`,
    '',
    '| grows with | value | evaluations | evaluations/s | positions x blocks an evaluation |',
    '| --- | --- | --- | --- | --- |',
    ...growth.map((row) => `| ${row} |`),
  ].join('\n');
}
