/**
 * The process in which one contestant runs: reads {model, contestant, work} from a file, writes seconds, scores and peak memory. A process each, so
 * that memory is each one's own and no cache is warm.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { EditBank } from '../../proto/gen/refusalscope/v1/types.js';
import { type Ask, type Contestant, startDirect, startOverGrpc } from './contestants.js';
import { bankOf, openSaeStore, type WorkFile } from './workload.js';

export interface MeasureInput {
  readonly modelPath: string;
  readonly contestant: 'grpc' | 'direct';
  readonly workPath: string;
}

export interface Measured {
  readonly seconds: number;
  readonly evaluations_per_second: number;
  readonly cpu_seconds: number;
  readonly peak_rss_mb: number;
  /** Longest time the process's event loop did not turn, ms: what a health check would have waited. */
  readonly event_loop_max_ms: number;
  readonly scores: readonly {
    readonly refusal_score: number;
    readonly first_token_score: number;
    readonly p_I: number;
  }[];
}

async function run(inputPath: string, outputPath: string): Promise<void> {
  const { modelPath, contestant: kind, workPath }: MeasureInput = JSON.parse(readFileSync(inputPath, 'utf8'));
  const work: WorkFile = JSON.parse(readFileSync(workPath, 'utf8'));
  const store = openSaeStore();
  const bank = bankOf(store, work.banks[0].features);
  const contestant = kind === 'grpc' ? await startOverGrpc(modelPath) : await startDirect(modelPath);
  await warmUp(contestant, bank, work);
  const numbers = new Map(work.prompts.map(({ id }, i) => [id, i]));
  const asks: Ask[] = work.evaluations.map(({ prompt, mask }) => ({ prompt: numbers.get(prompt) as number, mask }));
  const lag = monitorEventLoopDelay({ resolution: 5 });
  lag.enable();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const scores = await contestant.evaluate(work.prompts, bank, asks);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  lag.disable();
  await contestant.stop();
  const measured: Measured = {
    seconds,
    evaluations_per_second: asks.length / seconds,
    cpu_seconds: (user + system) / 1e6,
    peak_rss_mb: process.resourceUsage().maxRSS / 1024,
    event_loop_max_ms: lag.max / 1e6,
    scores,
  };
  writeFileSync(outputPath, JSON.stringify(measured));
}

/** Another prompt than those measured, so that nothing measured is known beforehand. */
async function warmUp(contestant: Contestant, bank: EditBank, work: WorkFile): Promise<void> {
  const other = { id: 'warm-up', token_ids: [...work.prompts[0].token_ids].reverse() };
  const size = work.banks[0].features.length;
  const asks = Array.from({ length: 8 }, (_, i) => ({ prompt: 0, mask: '1'.repeat(size - i).padEnd(size, '0') }));
  await contestant.evaluate([other], bank, asks);
}

await run(process.argv[2], process.argv[3]);
