/** The truth table as text: precision/recall, or the share that is right. A part that a mechanism does not have is a dash. */

import type { Score, Share, Tally } from './score-recovery.js';
import type { MechanismResult } from './summarize-runs.js';

const two = (part: number, whole: number): string => (whole === 0 ? '-' : (part / whole).toFixed(2));
const bothOf = ({ hits, found, real }: Tally): string =>
  found + real === 0 ? '-' : `${two(hits, found)}/${two(hits, real)}`;
const shareOf = ({ right, asked }: Share): string => two(right, asked);

const COLUMNS: readonly (readonly [title: string, cell: (score: Score) => string])[] = [
  ['nearest', ({ nearest }) => shareOf({ right: nearest.hits, asked: nearest.real })],
  ['causal', ({ causal }) => shareOf(causal)],
  ['one set', ({ oneSet }) => shareOf(oneSet)],
  ['all sets', ({ minimalSets }) => bothOf(minimalSets)],
  ['sustaining', ({ sustainingSets }) => bothOf(sustainingSets)],
  ['depth', ({ depth }) => shareOf(depth)],
  ['pairs', ({ interactions }) => bothOf(interactions)],
  ['pair error', ({ interactionError }) => interactionError.toFixed(3)],
  ['dormant', ({ dormant }) => bothOf(dormant)],
  ['wakers', ({ wakers }) => shareOf(wakers)],
  ['sufficient', ({ sufficiency }) => shareOf(sufficiency)],
  ['null hydras', ({ nullHydras }) => `${nullHydras.right} of ${nullHydras.asked}`],
];

export function printTable(results: readonly MechanismResult[]): string {
  const header = ['mechanism', 'SNR', 'seeds', ...COLUMNS.map(([title]) => title), 'evaluations', 's'];
  const rows = results.map(({ mechanism, snr, seeds, score, evaluations, seconds }) => [
    mechanism,
    snr === undefined ? 'none' : String(snr),
    String(seeds),
    ...COLUMNS.map(([, cell]) => cell(score)),
    String(evaluations),
    seconds.toFixed(1),
  ]);
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
