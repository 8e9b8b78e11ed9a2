/** The table as data: what `--json` writes. docs/truth.md describes it. */
import type { Score, Share, Tally } from './score-recovery.js';
import type { MechanismResult } from './summarize-runs.js';

/** hits / found and hits / real; null where there is nothing to divide by. */
export interface PrecisionRecall extends Tally {
  readonly precision: number | null;
  readonly recall: number | null;
}

/** right / asked; null where nothing was asked. */
export interface ShareRight extends Share {
  readonly share: number | null;
}

type TallyPart = { [Part in keyof Score]: Score[Part] extends Tally ? Part : never }[keyof Score];
type SharePart = Exclude<
  { [Part in keyof Score]: Score[Part] extends Share ? Part : never }[keyof Score],
  'nullHydras'
>;

export const TALLIES = [
  'nearest',
  'minimalSets',
  'sustainingSets',
  'interactions',
  'dormant',
] as const satisfies TallyPart[];
export const SHARES = ['causal', 'oneSet', 'depth', 'wakers', 'sufficiency'] as const satisfies SharePart[];

export interface MechanismRow extends Omit<MechanismResult, 'score' | 'snr'> {
  /** null: no noise. */
  readonly snr: number | null;
  readonly precisionRecall: Readonly<Record<(typeof TALLIES)[number], PrecisionRecall>>;
  readonly shares: Readonly<Record<(typeof SHARES)[number], ShareRight>>;
  readonly interactionError: number;
  readonly nullHydras: { readonly reported: number; readonly runs: number };
}

/** The lowest number of any part of any mechanism, and where it stands. */
export interface Lowest {
  readonly value: number;
  readonly mechanism: string;
  readonly part: string;
}

export interface TruthResult {
  readonly format: 'refusalscope-truth/1';
  readonly seeds: number;
  readonly targets: {
    /** Absent: not run. */
    readonly clean?: Target;
    readonly noise?: Target;
    readonly nullHydras: { readonly reported: number; readonly runs: number; readonly met: boolean };
  };
  readonly mechanisms: readonly MechanismRow[];
}

export interface Target {
  readonly atLeast: number;
  readonly lowest: Lowest | null;
  readonly met: boolean;
}

const CLEAN_AT_LEAST = 1;
const NOISE_AT_LEAST = 0.95;

export function toTruthResult(results: readonly MechanismResult[], seeds: number): TruthResult {
  const mechanisms = results.map(toRow);
  const clean = mechanisms.filter(({ snr }) => snr === null);
  const noise = mechanisms.filter(({ snr }) => snr !== null);
  const sum = (key: 'reported' | 'runs') => mechanisms.reduce((total, row) => total + row.nullHydras[key], 0);
  return {
    format: 'refusalscope-truth/1',
    seeds,
    targets: {
      ...(clean.length > 0 && { clean: targetOf(clean, CLEAN_AT_LEAST) }),
      ...(noise.length > 0 && { noise: targetOf(noise, NOISE_AT_LEAST) }),
      nullHydras: { reported: sum('reported'), runs: sum('runs'), met: sum('reported') === 0 },
    },
    mechanisms,
  };
}

function toRow({ score, snr, ...result }: MechanismResult): MechanismRow {
  const { nullHydras, interactionError } = score;
  return {
    ...result,
    snr: snr ?? null,
    precisionRecall: Object.fromEntries(
      TALLIES.map((part) => [part, withRates(score[part])]),
    ) as MechanismRow['precisionRecall'],
    shares: Object.fromEntries(
      SHARES.map((part) => [part, { share: ratio(score[part].right, score[part].asked), ...score[part] }]),
    ) as MechanismRow['shares'],
    interactionError,
    nullHydras: { reported: nullHydras.right, runs: nullHydras.asked },
  };
}

const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

const withRates = (tally: Tally): PrecisionRecall => ({
  precision: ratio(tally.hits, tally.found),
  recall: ratio(tally.hits, tally.real),
  ...tally,
});

function targetOf(rows: readonly MechanismRow[], atLeast: number): Target {
  const numbers = rows.flatMap(({ mechanism, precisionRecall, shares }) => [
    ...TALLIES.flatMap((part) => [
      { mechanism, part: `${part} precision`, value: precisionRecall[part].precision },
      { mechanism, part: `${part} recall`, value: precisionRecall[part].recall },
    ]),
    ...SHARES.map((part) => ({ mechanism, part, value: shares[part].share })),
  ]);
  const lowest = numbers.reduce<Lowest | null>(
    (least, { value, ...where }) => (value === null || (least && least.value <= value) ? least : { value, ...where }),
    null,
  );
  return { atLeast, lowest, met: (lowest?.value ?? 1) >= atLeast };
}

/** The targets in words, a line each. */
export function targetLines({ targets: { clean, noise, nullHydras } }: TruthResult): string[] {
  const line = (what: string, { atLeast, lowest, met }: Target) =>
    `${what}: every precision, recall and share at least ${atLeast}: ${met ? 'met' : 'missed'}${lowest && lowest.value < 1 ? `; lowest ${lowest.value.toFixed(3)} (${lowest.mechanism}, ${lowest.part})` : ''}.`;
  return [
    ...(clean ? [line('Without noise', clean)] : []),
    ...(noise ? [line('With noise', noise)] : []),
    `Null hydras: ${nullHydras.reported} of ${nullHydras.runs} reported a dormant feature: ${nullHydras.met ? 'met' : 'missed'}.`,
  ];
}
