/**
 * What gRPC costs against calling the engine's thread directly: both in one process, the same masks on the same fresh prompts, in turns. Separate
 * processes differ by more than the wire does.
 */
import type { EditBank } from '../../proto/gen/refusalscope/v1/types.js';
import { type Ask, type Contestant, startDirect, startOverGrpc } from './contestants.js';
import { bankOf, openSaeStore, type WorkFile, type WorkPrompt } from './workload.js';

export interface GrpcOverhead {
  /** Median over the rounds of gRPC's seconds over the direct call's, less 1. */
  readonly overhead: number;
  readonly rounds: number;
  readonly grpc_seconds: readonly number[];
  readonly direct_seconds: readonly number[];
}

export async function measureGrpcOverhead(modelPath: string, work: WorkFile, rounds: number): Promise<GrpcOverhead> {
  const bank = bankOf(openSaeStore(), work.banks[0].features);
  const numbers = new Map(work.prompts.map(({ id }, i) => [id, i]));
  const asks: Ask[] = work.evaluations.map(({ prompt, mask }) => ({ prompt: numbers.get(prompt) as number, mask }));
  const contestants = { grpc: await startOverGrpc(modelPath), direct: await startDirect(modelPath) };
  const seconds: Record<keyof typeof contestants, number[]> = { grpc: [], direct: [] };
  // The first round warms both up.
  for (let round = 0; round <= rounds; round++) {
    const order = round % 2 === 0 ? (['grpc', 'direct'] as const) : (['direct', 'grpc'] as const);
    for (const name of order) {
      const spent = await timed(contestants[name], freshPrompts(work.prompts, round), bank, asks);
      if (round > 0) seconds[name].push(spent);
    }
  }
  for (const contestant of Object.values(contestants)) await contestant.stop();
  const ratios = seconds.grpc.map((spent, i) => spent / seconds.direct[i]).sort((a, b) => a - b);
  const overhead = ratios[Math.floor(ratios.length / 2)] - 1;
  return { overhead, rounds, grpc_seconds: seconds.grpc, direct_seconds: seconds.direct };
}

/** One token of each instruction replaced, so that no state is known from an earlier round. */
const freshPrompts = (prompts: readonly WorkPrompt[], round: number): WorkPrompt[] =>
  prompts.map(({ id, token_ids }) => ({
    id: `${id}-${round}`,
    token_ids: token_ids.map((token, at) => (at === 29 ? 1500 + round : token)),
  }));

async function timed(
  contestant: Contestant,
  prompts: readonly WorkPrompt[],
  bank: EditBank,
  asks: readonly Ask[],
): Promise<number> {
  const start = performance.now();
  await contestant.evaluate(prompts, bank, asks);
  return (performance.now() - start) / 1000;
}
