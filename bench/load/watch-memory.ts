/** Resident memory of processes over time, from /proc (Linux), and whether it grows. */
import { readFileSync } from 'node:fs';

export interface MemoryTrend {
  /** MB after the first tenth of the time, when pools and caches have filled. */
  readonly start_mb: number;
  readonly end_mb: number;
  readonly peak_mb: number;
  /** Least squares over the last two thirds of the samples. */
  readonly slope_mb_per_minute: number;
}

interface Sample {
  readonly minutes: number;
  readonly mb: number;
}

const EVERY_MS = 1_000;

/** Gives a function that ends the watch and tells of each process by its name. */
export const watchMemory = (pids: Readonly<Record<string, number>>): (() => Record<string, MemoryTrend>) => {
  const samples: Record<string, Sample[]> = Object.fromEntries(Object.keys(pids).map((name) => [name, []]));
  const from = performance.now();
  const timer = setInterval(() => {
    const minutes = (performance.now() - from) / 60_000;
    for (const [name, pid] of Object.entries(pids)) samples[name]!.push({ minutes, mb: residentMb(pid) });
  }, EVERY_MS);
  return () => {
    clearInterval(timer);
    return Object.fromEntries(Object.entries(samples).map(([name, taken]) => [name, trendOf(taken)]));
  };
};

const residentMb = (pid: number): number => {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kilobytes ?? Number.NaN) / 1024;
};

export const trendOf = (samples: readonly Sample[]): MemoryTrend => {
  const late = samples.slice(Math.floor(samples.length / 3));
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [atMean, mbMean] = [mean(late.map(({ minutes }) => minutes)), mean(late.map(({ mb }) => mb))];
  const covariance = late.reduce((sum, { minutes, mb }) => sum + (minutes - atMean) * (mb - mbMean), 0);
  const variance = late.reduce((sum, { minutes }) => sum + (minutes - atMean) ** 2, 0);
  return {
    start_mb: samples[Math.floor(samples.length / 10)]?.mb ?? Number.NaN,
    end_mb: samples.at(-1)?.mb ?? Number.NaN,
    peak_mb: Math.max(...samples.map(({ mb }) => mb)),
    slope_mb_per_minute: variance === 0 ? 0 : covariance / variance,
  };
};
