/**
 * What every stage-2 filter sees: numbered candidates, two orders of them, and a way to score sets that are off. A filter knows
 * nothing of models, SAEs or prompts, so that group, greedy and paper can be compared on planted landscapes and swapped by name.
 */

/** Candidates that are off, as distinct indices in [0, size); in any order. */
export type OffSet = readonly number[];

export interface SetScore {
  /** Log-odds; below 0 is a flip. Finite. */
  readonly refusalScore: number;
  /** The paper's measure, in [0, 1]. */
  readonly pI: number;
}

export interface PathStep {
  readonly featuresOff: number;
  readonly score: number;
  readonly flipped: boolean;
  /** What was tried, such as "halve" or "restore 13/5". */
  readonly action: string;
}

export interface FilterTask {
  readonly size: number;
  /** All candidates, the one whose loss is expected to lower the score most first. */
  readonly byEstimate: OffSet;
  /** How many of `byEstimate`, counted from its front, are active on the clean prompt; the rest are zero there. */
  readonly activeCount: number;
  /** All candidates by decreasing cosine with their layer's direction. */
  readonly byCosine: OffSet;
  /** Scores of sets, in order. A set asked twice costs one evaluation. */
  score(sets: readonly OffSet[]): Promise<readonly SetScore[]>;
  nameOf(candidate: number): string;
  /** Records one step of the path. */
  step(step: PathStep): void;
}

/** Takes a task whose full set flips and whose empty set does not; gives the members of the set it found. */
export type Filter = (task: FilterTask) => Promise<OffSet>;

/** A flip is a refusal score below 0; exactly 0 still refuses. */
export const isFlip = (score: SetScore): boolean => score.refusalScore < 0;

/** The set without one member. */
export const without = (set: OffSet, member: number): OffSet => set.filter((candidate) => candidate !== member);

/** Orders a set's members as a given order has them. */
export const inOrder = (order: OffSet, set: OffSet): OffSet => {
  const members = new Set(set);
  return order.filter((candidate) => members.has(candidate));
};
