/** The three things that are done to a mesh: find its capacity, load it steadily for minutes, and ask twice of what it can do. */
import type { SeededRandom } from '../../shared/random/seeded-random.js';
import { driveClosed, driveOpen, lostOf, quantile, type Tally } from './drive-load.js';
import type { CallName, LoadMesh } from './load-mesh.js';
import { type MemoryTrend, watchMemory } from './watch-memory.js';

const WARM_S = 2;

export interface CallFigures {
  readonly call: CallName;
  readonly started: number;
  readonly accepted: number;
  readonly refused: number;
  readonly failed: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly per_s: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly refused_p50_ms: number | null;
  readonly refused_p99_ms: number | null;
  /** How late the client sent them; null where each waited for the last one. */
  readonly late_p99_ms: number | null;
}

const figuresOf = (call: CallName, tally: Tally): CallFigures => {
  const { accepted, refused, late, failed } = tally;
  const codes = [...new Set(failed)].map((code) => [code, failed.filter((one) => one === code).length]);
  return {
    call,
    started: tally.started,
    accepted: accepted.length,
    refused: refused.length,
    failed: Object.fromEntries(codes),
    lost: lostOf(tally),
    per_s: accepted.length / tally.seconds,
    p50_ms: quantile(accepted, 0.5),
    p99_ms: quantile(accepted, 0.99),
    refused_p50_ms: refused.length === 0 ? null : quantile(refused, 0.5),
    refused_p99_ms: refused.length === 0 ? null : quantile(refused, 0.99),
    late_p99_ms: late.length === 0 ? null : quantile(late, 0.99),
  };
};

/** One kind of call at a time, by callers who send the next one when the last is answered. */
export const measureCapacity = async (
  { calls, callers }: LoadMesh,
  names: readonly CallName[],
  seconds: number,
): Promise<CallFigures[]> => {
  const figures: CallFigures[] = [];
  for (const name of names) {
    await driveClosed(calls[name], callers, WARM_S);
    figures.push(figuresOf(name, await driveClosed(calls[name], callers, seconds)));
  }
  return figures;
};

export interface SteadyFigures {
  readonly minutes: number;
  readonly calls: readonly CallFigures[];
  readonly memory: Readonly<Record<string, MemoryTrend>>;
}

/** All kinds of calls at once. `share` of the capacity is asked of the streaming call; the others come at a tenth of theirs, 50 a second at most. */
export const loadSteadily = async (
  mesh: LoadMesh,
  capacity: readonly CallFigures[],
  options: { readonly minutes: number; readonly share: number; readonly random: SeededRandom },
): Promise<SteadyFigures> => {
  const { minutes, share, random } = options;
  const rateOf = ({ call, per_s }: CallFigures) => (call === 'evaluate' ? per_s * share : Math.min(50, per_s / 10));
  const stopWatching = watchMemory(mesh.pids);
  const tallies = await Promise.all(
    capacity.map(async (one) => {
      const own = { rate: rateOf(one), seconds: minutes * 60, random: random.fork(one.call) };
      return figuresOf(one.call, await driveOpen({ call: mesh.calls[one.call], ...own }));
    }),
  );
  return { minutes, calls: tallies, memory: stopWatching() };
};

export interface OverloadFigures {
  /** Of the streaming call alone, measured just before. */
  readonly capacity_per_s: number;
  readonly asked_per_s: number;
  readonly seconds: number;
  readonly overloaded: CallFigures;
  /** Health checks meanwhile: they are outside of the limit. */
  readonly health: CallFigures;
  /** The streaming call by one caller, once it is over. */
  readonly afterwards: CallFigures;
}

/** Twice the calls that were answered a moment before. */
export const overload = async (
  mesh: LoadMesh,
  options: { readonly seconds: number; readonly random: SeededRandom },
): Promise<OverloadFigures> => {
  const { seconds, random } = options;
  const [before] = await measureCapacity(mesh, ['evaluate'], Math.min(10, seconds));
  const rate = 2 * before!.per_s;
  const [overloaded, health] = await Promise.all([
    driveOpen({ call: mesh.calls.evaluate, rate, seconds, random: random.fork('overload') }),
    driveOpen({ call: mesh.calls.health, rate: 10, seconds, random: random.fork('probes') }),
  ]);
  const afterwards = await driveClosed(mesh.calls.evaluate, 1, 5);
  return {
    capacity_per_s: before!.per_s,
    asked_per_s: rate,
    seconds,
    overloaded: figuresOf('evaluate', overloaded),
    health: figuresOf('health', health),
    afterwards: figuresOf('evaluate', afterwards),
  };
};
