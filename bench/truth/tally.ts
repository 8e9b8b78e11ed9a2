/** Counts of which precision, recall and shares are made. */

/** hits / found is precision, hits / real is recall. */
export interface Tally {
  readonly hits: number;
  readonly found: number;
  readonly real: number;
}

/** right / asked. */
export interface Share {
  readonly right: number;
  readonly asked: number;
}

export const NOTHING: Tally = { hits: 0, found: 0, real: 0 };
export const UNASKED: Share = { right: 0, asked: 0 };

export function tally(found: readonly string[], real: readonly string[]): Tally {
  const truth = new Set(real);
  return { hits: found.filter((name) => truth.has(name)).length, found: found.length, real: real.length };
}

export const share = (isRight: boolean): Share => ({ right: isRight ? 1 : 0, asked: 1 });

export const addTallies = (a: Tally, b: Tally): Tally => ({
  hits: a.hits + b.hits,
  found: a.found + b.found,
  real: a.real + b.real,
});

export const addShares = (a: Share, b: Share): Share => ({ right: a.right + b.right, asked: a.asked + b.asked });

/** Sums; of plain numbers, which are errors, the largest. */
export function addScores<Scores extends { readonly [part in keyof Scores]: Tally | Share | number }>(
  parts: readonly Scores[],
): Scores {
  return parts.reduce((sum, part) => {
    const keys = Object.keys(sum) as (keyof Scores)[];
    return Object.fromEntries(
      keys.map((key) => {
        const [a, b]: [Tally | Share | number, Tally | Share | number] = [sum[key], part[key]];
        if (typeof a === 'number') return [key, Math.max(a, b as number)];
        return [key, 'hits' in a ? addTallies(a, b as Tally) : addShares(a, b as Share)];
      }),
    ) as unknown as Scores;
  });
}
