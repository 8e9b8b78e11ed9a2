/**
 * npm run bench [-- --json FILE] [--quick] [--no-peers]: RefusalScope behind gRPC, its engine called directly, TransformerLens + SAELens, and a
 * tuned PyTorch loop, on the same masks in one run. Fails if their scores differ. Rewrites the table in docs/performance.md.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../shared/project/root.js';
import { type Score, startDirect, THREADS } from './contestants.js';
import { type GrowthRow, measureGrowth } from './growth.js';
import { type GrpcOverhead, measureGrpcOverhead } from './grpc-overhead.js';
import type { Measured, MeasureInput } from './measure.js';
import { measurePeakShare, type PeakShare } from './peak.js';
import { measureStageTwo, type StageTwoShare } from './stage-two.js';
import { bankOf, golden, nearestFeatures, openSaeStore, recordGreedy, saeFolder, type WorkFile } from './workload.js';
import { rewriteTable } from './write-table.js';

/** Candidates a layer, at all six SAE layers. */
const CANDIDATES = 20;
/** Prompts of the speed comparison: the usual stack needs half a minute for each. */
const PROMPTS = 2;
/** Contestants whose refusal scores differ by more than this did not do the same work. */
const TOLERANCE = 0.01;

export interface BenchFigures {
  readonly vs_transformerlens_saelens: number | null;
  readonly vs_pytorch_tuned: number | null;
  readonly matmul_peak_share: number;
  readonly grpc_overhead: number;
  readonly stage2_evaluation_share: number;
  readonly peak_rss_mb: number;
  readonly raw: {
    readonly evaluations: number;
    readonly rounds: number;
    readonly contestants: Readonly<
      Record<string, { evaluations_per_second: number; peak_rss_mb: number; notes: string }>
    >;
    readonly max_score_difference: number;
    readonly event_loop_max_ms: number;
    readonly grpc: GrpcOverhead;
    readonly peak: PeakShare;
    readonly stage_two: StageTwoShare;
    readonly growth: readonly GrowthRow[];
  };
}

const { values: flags } = parseArgs({
  options: {
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
    'no-peers': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function main(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-bench-'));
  try {
    const figures = await measureAll(folder);
    rewriteTable(figures);
    if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(figures, null, 2)}\n`);
    const { raw, ...headline } = figures;
    process.stdout.write(`${JSON.stringify({ ...headline, contestants: raw.contestants }, null, 2)}\n`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureAll(folder: string): Promise<BenchFigures> {
  const { path: modelPath } = await ensureEmbeddedModel();
  const peers = flags['no-peers'] ? undefined : setUpPeers(modelPath);
  say('recording the masks of a plain greedy search');
  const work = await recordWork(modelPath, peers?.modelFolder ?? '');
  const workPath = join(folder, 'work.json');
  writeFileSync(workPath, JSON.stringify(work));
  say(`${work.evaluations.length} evaluations on ${work.prompts.length} prompts, ${THREADS} threads`);

  // In turns, so that a busy moment of the machine hits all of them.
  const rounds = flags.quick ? 1 : 3;
  const runs: Record<string, Result[]> = { grpc: [], direct: [], pytorch_tuned: [], transformerlens_saelens: [] };
  for (let round = 0; round < rounds; round++) {
    for (const contestant of ['grpc', 'direct'] as const) {
      runs[contestant].push(report(contestant, runOurs({ modelPath, contestant, workPath }, folder)));
    }
    if (peers === undefined) continue;
    runs.pytorch_tuned.push(report('pytorch_tuned', runPeer(peers.python, 'pytorch_tuned.py', workPath, folder)));
    // One run of the slow stack is minutes long, which averages by itself.
    if (round > 0) continue;
    const usual = runPeer(peers.python, 'transformerlens_saelens.py', workPath, folder);
    runs.transformerlens_saelens.push(report('transformerlens_saelens', usual));
  }
  const difference = assertAgreement(runs);
  say('gRPC against direct calls');
  const grpc = await measureGrpcOverhead(modelPath, work, flags.quick ? 3 : 9);
  say('matrix-multiply peak');
  const peak = await measurePeakShare(modelPath, THREADS);
  say('stage 2: group testing against plain greedy');
  const stageTwo = await measureStageTwo(modelPath, golden.clean.slice(0, flags.quick ? 2 : 8), CANDIDATES);
  say('growth');
  const growth = await measureGrowth(modelPath, growthPrompts(), flags.quick);

  const rate = (name: string): number | null => median(runs[name].map((run) => run.evaluations_per_second));
  const ours = rate('grpc') as number;
  const over = (name: string): number | null => (rate(name) === null ? null : ours / (rate(name) as number));
  const used = Object.entries(runs).filter(([, list]) => list.length > 0);
  return {
    vs_transformerlens_saelens: over('transformerlens_saelens'),
    vs_pytorch_tuned: over('pytorch_tuned'),
    matmul_peak_share: peak.share,
    grpc_overhead: grpc.overhead,
    stage2_evaluation_share: stageTwo.share,
    peak_rss_mb: Math.max(...runs.grpc.map(({ peak_rss_mb }) => peak_rss_mb)),
    raw: {
      evaluations: work.evaluations.length,
      rounds,
      contestants: Object.fromEntries(
        used.map(([name, list]) => [
          name,
          {
            evaluations_per_second: rate(name) as number,
            peak_rss_mb: Math.max(...list.map(({ peak_rss_mb }) => peak_rss_mb)),
            notes: list[0].notes ?? '',
          },
        ]),
      ),
      max_score_difference: difference,
      event_loop_max_ms: Math.max(...runs.grpc.map(({ event_loop_max_ms }) => event_loop_max_ms ?? 0)),
      grpc,
      peak,
      stage_two: stageTwo,
      growth,
    },
  };
}

type Result = Pick<Measured, 'evaluations_per_second' | 'peak_rss_mb'> & {
  readonly scores: readonly Score[];
  readonly event_loop_max_ms?: number;
  readonly notes?: string;
};

function report(name: string, result: Result): Result {
  say(`${name}: ${result.evaluations_per_second.toFixed(1)} evaluations/s, peak ${result.peak_rss_mb.toFixed(0)} MB`);
  return result;
}

function setUpPeers(modelPath: string): { python: string; modelFolder: string } {
  say('setting up the peers (once; minutes)');
  const python = runText('bash', [join(projectRoot, 'bench/peers/setup.sh')]);
  const merge = [join(projectRoot, 'bench/peers/merged_weights.py'), modelPath, join(projectRoot, 'models/adapter')];
  return { python, modelFolder: runText(python, merge) };
}

/** The last line that a command prints. */
function runText(command: string, args: readonly string[]): string {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}`);
  return stdout.trim().split('\n').at(-1) as string;
}

async function recordWork(modelPath: string, modelFolder: string): Promise<WorkFile> {
  const store = openSaeStore();
  const features = nearestFeatures(store, CANDIDATES, golden.sae_layers);
  const bank = bankOf(store, features);
  const prompts = golden.clean.slice(0, PROMPTS).map(({ id, token_ids }) => ({ id, token_ids }));
  const direct = await startDirect(modelPath);
  const evaluations: WorkFile['evaluations'][number][] = [];
  for (const prompt of prompts) {
    const masks = await recordGreedy(features.length, features, async (sets) => {
      const asks = sets.map((set) => {
        const on = new Set(set);
        return { prompt: 0, mask: features.map((_, i) => (on.has(i) ? '1' : '0')).join('') };
      });
      const scores = await direct.evaluate([prompt], bank, asks);
      return scores.map(({ refusal_score, p_I }) => ({ refusalScore: refusal_score, pI: p_I }));
    });
    evaluations.push(...masks.map((mask) => ({ prompt: prompt.id, bank: 0, mask })));
  }
  await direct.stop();
  return {
    threads: THREADS,
    model_dir: modelFolder,
    sae_dir: saeFolder,
    instruction_start: 24,
    openers: golden.openers,
    first_token_ids: golden.refusal_tokens,
    i_token: golden.I_token,
    banks: [{ features, positions: 'instruction' }],
    prompts,
    evaluations,
  };
}

function runOurs(input: MeasureInput, folder: string): Result {
  const inputPath = join(folder, 'input.json');
  const outputPath = join(folder, 'output.json');
  writeFileSync(inputPath, JSON.stringify(input));
  const script = join(projectRoot, 'dist/bench/engine/measure.js');
  const { status } = spawnSync(process.execPath, [script, inputPath, outputPath], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`${input.contestant} ended with ${status}`);
  return JSON.parse(readFileSync(outputPath, 'utf8'));
}

function runPeer(python: string, script: string, workPath: string, folder: string): Result {
  const resultPath = join(folder, `${script}.json`);
  const args = [join(projectRoot, 'bench/peers', script), workPath, resultPath];
  const { status } = spawnSync(python, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`${script} ended with ${status}`);
  const result = JSON.parse(readFileSync(resultPath, 'utf8'));
  return { ...result, notes: [result.dtype, `batch ${result.batch}`].join(', ') };
}

/** Largest difference of a refusal score from the usual stack's (or from ours where there are no peers). */
function assertAgreement(runs: Readonly<Record<string, readonly Result[]>>): number {
  const reference = (runs.transformerlens_saelens[0] ?? runs.direct[0]).scores;
  let worst = 0;
  for (const [name, list] of Object.entries(runs)) {
    for (const { scores } of list) {
      scores.forEach((score, i) => {
        const difference = Math.abs(score.refusal_score - reference[i].refusal_score);
        worst = Math.max(worst, difference);
        if (!(difference <= TOLERANCE)) {
          throw new Error(
            `${name} scores evaluation ${i} at ${score.refusal_score}; the reference at ${reference[i].refusal_score}`,
          );
        }
      });
    }
  }
  return worst;
}

/** 64 prompts of the golden ones' kind: each with one token of its instruction replaced. */
const growthPrompts = () =>
  Array.from({ length: 64 }, (_, i) => {
    const { id, token_ids } = golden.clean[i % golden.clean.length];
    return { id: `${id}-${i}`, token_ids: token_ids.map((token, at) => (at === 28 ? 2000 + i : token)) };
  });

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

if (flags.help) {
  process.stdout.write(
    'npm run bench [-- --json FILE] [--quick] [--no-peers]\n\n' +
      'Compares RefusalScope (gRPC, direct) with TransformerLens + SAELens and a tuned PyTorch loop on the same masks.\n' +
      '  --json FILE   write all figures\n  --quick       one round, fewer prompts\n  --no-peers    leave the Python peers out\n',
  );
} else {
  await main();
}
