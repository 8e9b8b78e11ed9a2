/** The truth table as text: precision/recall, or the share that is right. A part that a mechanism does not have is a dash. */

import type { AgainstModel } from './score-against-model.js';
import type { FamilyScore } from './score-family.js';
import type { Score } from './score-recovery.js';
import type { MechanismResult } from './summarize-runs.js';
import type { Share, Tally } from './tally.js';

const two = (part: number, whole: number): string => (whole === 0 ? '-' : (part / whole).toFixed(2));
const bothOf = ({ hits, found, real }: Tally): string =>
  found + real === 0 ? '-' : `${two(hits, found)}/${two(hits, real)}`;
const shareOf = ({ right, asked }: Share): string => two(right, asked);

type Column<Scores> = readonly [title: string, cell: (score: Scores) => string];

const FAMILY: readonly Column<FamilyScore>[] = [
  ['one set', ({ oneSet }) => shareOf(oneSet)],
  ['all sets', ({ minimalSets }) => bothOf(minimalSets)],
  ['sustaining', ({ sustainingSets }) => bothOf(sustainingSets)],
  ['depth', ({ depth }) => shareOf(depth)],
  ['pairs', ({ interactions }) => bothOf(interactions)],
  ['quiet', ({ quietPairs }) => shareOf(quietPairs)],
  ['pair error', ({ interactionError }) => interactionError.toFixed(3)],
];

const COLUMNS: readonly Column<Score>[] = [
  ['nearest', ({ nearest }) => shareOf({ right: nearest.hits, asked: nearest.real })],
  ['causal', ({ causal }) => shareOf(causal)],
  ...FAMILY,
  ['dormant', ({ dormant }) => bothOf(dormant)],
  ['no sets', ({ fromStrongest }) => bothOf(fromStrongest)],
  ['wakers', ({ wakers }) => shareOf(wakers)],
  ['sufficient', ({ sufficiency }) => shareOf(sufficiency)],
  ['null hydras', ({ nullHydras }) => `${nullHydras.right} of ${nullHydras.asked}`],
];

const AGAINST_MODEL: readonly Column<AgainstModel>[] = [
  ['prompts', ({ departing }) => String(departing.asked)],
  ['departing', ({ departing }) => String(departing.right)],
  ...FAMILY,
];

const titlesOf = <Scores>(columns: readonly Column<Scores>[]): string[] => columns.map(([title]) => title);
const cellsOf = <Scores>(columns: readonly Column<Scores>[], score: Scores): string[] =>
  columns.map(([, cell]) => cell(score));
const nameOf = ({ mechanism, snr, seeds }: MechanismResult): string[] => [
  mechanism,
  snr === undefined ? 'none' : String(snr),
  String(seeds),
];

/** Against the description. */
export const printTable = (results: readonly MechanismResult[]): string =>
  layOut(
    ['mechanism', 'SNR', 'seeds', ...titlesOf(COLUMNS), 'evaluations', 's'],
    results.map((result) => [
      ...nameOf(result),
      ...cellsOf(COLUMNS, result.score),
      String(result.evaluations),
      result.seconds.toFixed(1),
    ]),
  );

/** Against the model that was built; undefined if that was asked of none. */
export function printAgainstModel(results: readonly MechanismResult[]): string | undefined {
  const rows = results.flatMap((result) =>
    result.againstModel ? [[...nameOf(result), ...cellsOf(AGAINST_MODEL, result.againstModel)]] : [],
  );
  return rows.length === 0 ? undefined : layOut(['mechanism', 'SNR', 'seeds', ...titlesOf(AGAINST_MODEL)], rows);
}

function layOut(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)));
  const line = (cells: readonly string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(' | ')} |`;
  return [line(header), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}
