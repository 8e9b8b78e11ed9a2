/** The table as data: what `--json` writes. docs/truth.md describes it. */
import type { Score } from './score-recovery.js';
import type { MechanismResult } from './summarize-runs.js';
import type { Share, Tally } from './tally.js';

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
  'fromStrongest',
] as const satisfies TallyPart[];
export const SHARES = [
  'causal',
  'oneSet',
  'depth',
  'quietPairs',
  'wakers',
  'sufficiency',
] as const satisfies SharePart[];

const FAMILY_TALLIES = ['minimalSets', 'sustainingSets', 'interactions'] as const;
const FAMILY_SHARES = ['oneSet', 'depth', 'quietPairs'] as const;

/** With noise: sets and pairs held against the model itself. */
export interface AgainstModelRow {
  readonly prompts: number;
  /** Prompts in which the model does otherwise than its description. */
  readonly departing: number;
  readonly precisionRecall: Readonly<Record<(typeof FAMILY_TALLIES)[number], PrecisionRecall>>;
  readonly shares: Readonly<Record<(typeof FAMILY_SHARES)[number], ShareRight>>;
  readonly interactionError: number;
}

export interface MechanismRow extends Omit<MechanismResult, 'score' | 'snr' | 'againstModel'> {
  /** null: no noise. */
  readonly snr: number | null;
  readonly precisionRecall: Readonly<Record<(typeof TALLIES)[number], PrecisionRecall>>;
  readonly shares: Readonly<Record<(typeof SHARES)[number], ShareRight>>;
  readonly interactionError: number;
  readonly nullHydras: { readonly reported: number; readonly runs: number };
  readonly againstModel?: AgainstModelRow;
}

/** The lowest number of any part of any mechanism, and where it stands. */
export interface Lowest {
  readonly value: number;
  /** What it is a share of. */
  readonly of: number;
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
    /** With noise, of the numbers against the model itself. */
    readonly noiseAgainstModel?: Target;
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
  const measured = noise.flatMap(({ mechanism, againstModel }) => (againstModel ? { mechanism, ...againstModel } : []));
  const sum = (key: 'reported' | 'runs') => mechanisms.reduce((total, row) => total + row.nullHydras[key], 0);
  return {
    format: 'refusalscope-truth/1',
    seeds,
    targets: {
      ...(clean.length > 0 && { clean: targetOf(clean.flatMap(numbersOf), CLEAN_AT_LEAST) }),
      ...(noise.length > 0 && { noise: targetOf(noise.flatMap(numbersOf), NOISE_AT_LEAST) }),
      ...(measured.length > 0 && { noiseAgainstModel: targetOf(measured.flatMap(numbersOf), NOISE_AT_LEAST) }),
      nullHydras: { reported: sum('reported'), runs: sum('runs'), met: sum('reported') === 0 },
    },
    mechanisms,
  };
}

function toRow({ score, snr, againstModel, ...result }: MechanismResult): MechanismRow {
  const { nullHydras, interactionError } = score;
  return {
    ...result,
    snr: snr ?? null,
    precisionRecall: ratesOf(score, TALLIES),
    shares: sharesOf(score, SHARES),
    interactionError,
    nullHydras: { reported: nullHydras.right, runs: nullHydras.asked },
    ...(againstModel && {
      againstModel: {
        prompts: againstModel.departing.asked,
        departing: againstModel.departing.right,
        precisionRecall: ratesOf(againstModel, FAMILY_TALLIES),
        shares: sharesOf(againstModel, FAMILY_SHARES),
        interactionError: againstModel.interactionError,
      },
    }),
  };
}

const ratesOf = <Part extends string>(score: Readonly<Record<Part, Tally>>, parts: readonly Part[]) =>
  Object.fromEntries(parts.map((part) => [part, withRates(score[part])])) as Record<Part, PrecisionRecall>;

const sharesOf = <Part extends string>(score: Readonly<Record<Part, Share>>, parts: readonly Part[]) =>
  Object.fromEntries(
    parts.map((part) => [part, { share: ratio(score[part].right, score[part].asked), ...score[part] }]),
  ) as Record<Part, ShareRight>;

const ratio = (part: number, whole: number): number | null => (whole === 0 ? null : part / whole);

const withRates = (tally: Tally): PrecisionRecall => ({
  precision: ratio(tally.hits, tally.found),
  recall: ratio(tally.hits, tally.real),
  ...tally,
});

interface Rates {
  readonly mechanism: string;
  readonly precisionRecall: Readonly<Record<string, PrecisionRecall>>;
  readonly shares: Readonly<Record<string, ShareRight>>;
}

function numbersOf({ mechanism, precisionRecall, shares }: Rates): Lowest[] {
  const numbers = [
    ...Object.entries(precisionRecall).flatMap(([part, { precision, recall, found, real }]) => [
      // Of a mechanism without pairs the quiet ones say how many were false: one among thousands would make this 0.
      {
        mechanism,
        part: `${part} precision`,
        value: part === 'interactions' && real === 0 ? null : precision,
        of: found,
      },
      { mechanism, part: `${part} recall`, value: recall, of: real },
    ]),
    ...Object.entries(shares).map(([part, { share, asked }]) => ({ mechanism, part, value: share, of: asked })),
  ];
  return numbers.flatMap(({ value, ...where }) => (value === null ? [] : { ...where, value }));
}

function targetOf(numbers: readonly Lowest[], atLeast: number): Target {
  const lowest = numbers.reduce<Lowest | null>((least, own) => (least && least.value <= own.value ? least : own), null);
  return { atLeast, lowest, met: (lowest?.value ?? 1) >= atLeast };
}

/** The targets in words, a line each. */
export function targetLines({ targets: { clean, noise, noiseAgainstModel, nullHydras } }: TruthResult): string[] {
  const line = (what: string, { atLeast, lowest, met }: Target) =>
    `${what}: every precision, recall and share at least ${atLeast}: ${met ? 'met' : 'missed'}${lowest && lowest.value < 1 ? `; lowest ${lowest.value.toFixed(3)} of ${lowest.of} (${lowest.mechanism}, ${lowest.part})` : ''}.`;
  return [
    ...(clean ? [line('Without noise', clean)] : []),
    ...(noise ? [line('With noise', noise)] : []),
    ...(noiseAgainstModel ? [line('With noise, against the model itself', noiseAgainstModel)] : []),
    `Null hydras: ${nullHydras.reported} of ${nullHydras.runs} reported a dormant feature: ${nullHydras.met ? 'met' : 'missed'}.`,
  ];
}
