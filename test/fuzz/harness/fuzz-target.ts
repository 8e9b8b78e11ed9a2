/** What a fuzz target is: a maker of hostile input from sound seeds, and the reader that has to stand it. */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';

/** The files (or the one message) of a case, by name. A name may have folders in it. */
export type FuzzInput = Readonly<Record<string, Uint8Array>>;

/** True: read as if it were sound. False: told apart as unsound, for readers that report and do not throw. */
export type Verdict = boolean;

export interface OpenTarget {
  /** Input of one case; decided by `random` alone, so that a case can be made again. */
  make(random: SeededRandom): FuzzInput;
  /** May throw a fault of the registry, which counts as a refusal; whatever else it throws is a defect. */
  decode(input: FuzzInput): Verdict | Promise<Verdict>;
  close?(): Promise<void>;
}

export interface FuzzTarget {
  /** kebab-case; `--only` names it. */
  readonly name: string;
  /** What is read, for the table. */
  readonly reads: string;
  /** Share of a run's cases, against the others: cheap readers take many, whole services few. */
  readonly weight: number;
  /** Cases of the short run that is part of `npm test`. */
  readonly shortCases: number;
  /** `scratch`: an empty folder of the target's own. */
  open(scratch: string): OpenTarget | Promise<OpenTarget>;
}
