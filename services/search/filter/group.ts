/**
 * Group testing for a 1-minimal set, the default filter. Candidates stand in order of their expected effect. The shortest prefix
 * that flips ends in a member; keep it, and look again for the shortest prefix that flips together with what was kept, until what
 * was kept flips alone. Each member costs a few evaluations (a gallop from the front, then an even split) in place of one a
 * candidate. Every step holds a set that flips beside one that does not, so it also ends where suppression is not monotone;
 * there the certificate may find a smaller set, and the search goes on inside it until the certificate holds.
 */
import { certify } from './certificate.js';
import { type Filter, type FilterTask, inOrder, isFlip, type OffSet } from './filter.js';

export interface GroupOptions {
  /** Prefixes tried at once, 1 to 16: more of them mean fewer rounds but more evaluations. */
  readonly speculation: number;
}

/** Chosen on the planted landscapes of test/unit/search/group.test.ts; docs/services/search.md has the table. */
export const GROUP_DEFAULTS: GroupOptions = { speculation: 2 };

/** Each gallop step looks this many times further than the last; brackets this short are split from the start. */
const GALLOP_FACTOR = 4;
const MIN_GALLOP = 16;

/** Lengths known not to flip and to flip; a length is how many of the pool's front are off beside what is kept. */
interface Bracket {
  holds: number;
  flips: number;
  galloping: boolean;
}

/**
 * The next lengths to try, ascending, all strictly inside the bracket. Galloping starts at the front, and starts again behind the
 * last candidate that is active on the clean prompt: if the active ones together do not flip, dormant ones are needed.
 */
function nextLengths(bracket: Bracket, activeLength: number, speculation: number): number[] {
  const { holds, flips } = bracket;
  const inside = flips - holds - 1;
  if (inside <= speculation) return Array.from({ length: inside }, (_, i) => holds + 1 + i);
  if (!bracket.galloping || flips - holds <= MIN_GALLOP) {
    const part = (flips - holds) / (speculation + 1);
    return Array.from({ length: speculation }, (_, i) => holds + Math.round(part * (i + 1)));
  }
  const lengths: number[] = [];
  let last = holds;
  while (lengths.length < speculation) {
    const origin = last >= activeLength ? activeLength : 0;
    let reach = 1;
    while (origin + reach <= last) reach *= GALLOP_FACTOR;
    let next = last < 0 ? 0 : origin + reach;
    if (last < activeLength && next > activeLength) next = activeLength;
    if (next >= flips) break;
    lengths.push(next);
    last = next;
  }
  return lengths.length > 0 ? lengths : [holds + Math.ceil((flips - holds) / 2)];
}

/** The length at which `kept` with that much of the pool flips, and with one less does not. 0: `kept` flips alone. */
async function shortestFlippingPrefix(
  task: FilterTask,
  pool: OffSet,
  kept: OffSet,
  activeLength: number,
  { speculation }: GroupOptions,
): Promise<number> {
  const bracket: Bracket = { holds: kept.length === 0 ? 0 : -1, flips: pool.length, galloping: true };
  while (bracket.flips - bracket.holds > 1) {
    const lengths = nextLengths(bracket, activeLength, speculation);
    const scores = await task.score(lengths.map((length) => [...kept, ...pool.slice(0, length)]));
    const found = scores.findIndex(isFlip);
    for (const [i, score] of scores.entries()) {
      const featuresOff = kept.length + lengths[i]!;
      task.step({
        featuresOff,
        score: score.refusalScore,
        flipped: isFlip(score),
        action: bracket.galloping ? 'gallop' : 'split',
      });
    }
    if (found >= 0) {
      bracket.flips = lengths[found]!;
      bracket.galloping = false;
      if (found > 0) bracket.holds = lengths[found - 1]!;
    } else {
      bracket.holds = lengths.at(-1)!;
    }
  }
  return bracket.flips;
}

/** Shrinks a set that flips to one that (on a monotone landscape) is 1-minimal. */
async function shrink(task: FilterTask, start: OffSet, options: GroupOptions): Promise<OffSet> {
  const active = new Set(task.byEstimate.slice(0, task.activeCount));
  let pool = inOrder(task.byEstimate, start);
  const kept: number[] = [];
  for (;;) {
    const activeLength = pool.filter((candidate) => active.has(candidate)).length;
    const length = await shortestFlippingPrefix(task, pool, kept, activeLength, options);
    if (length === 0) return kept;
    kept.push(pool[length - 1]!);
    pool = pool.slice(0, length - 1);
    if (pool.length === 0) return kept;
  }
}

export const createGroupFilter =
  (options: GroupOptions = GROUP_DEFAULTS): Filter =>
  async (task) => {
    let start: OffSet = task.byEstimate;
    for (;;) {
      const set = await shrink(task, start, options);
      const certificate = await certify(task, set);
      if (certificate.smaller === undefined) return set;
      start = certificate.smaller;
      const score = Math.min(...certificate.restored.map((restored) => restored.refusalScore));
      task.step({ featuresOff: start.length, score, flipped: true, action: 'certificate found a smaller set' });
    }
  };
