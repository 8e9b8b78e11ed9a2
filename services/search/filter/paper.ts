/**
 * The filter of arXiv 2509.09708: candidates in blocks, in several random orders. From all off, each block is put back; if
 * p("I") then moves by more than the threshold the block counts as needed and stays off, otherwise it stays restored. What every
 * order kept is the set. It looks at one token and at blocks, so its set need not flip and need not be minimal; the certificate
 * that is taken afterwards says so.
 */
import { fault } from '../../../shared/errors/fault.js';
import { createSeededRandom } from '../../../shared/random/seeded-random.js';
import { type Filter, type FilterTask, isFlip, type OffSet } from './filter.js';

export interface PaperOptions {
  /** Candidates a block. The paper: 5. */
  readonly blockSize: number;
  /** Change of p("I") above which a block is needed. The paper sweeps 0.1 to 0.8; its choice is not published. */
  readonly threshold: number;
  /** Random orders. The paper: 3. */
  readonly seeds: number;
  readonly seed: number;
}

/** Each order costs one evaluation a block. */
const MAX_SEEDS = 64;

export const PAPER_DEFAULTS = { blockSize: 5, threshold: 0.1, seeds: 3 } as const;

/** @throws REQUEST_INVALID for options outside their ranges. */
function assertOptions({ blockSize, threshold, seeds }: PaperOptions): void {
  const problem =
    blockSize < 1 || !Number.isInteger(blockSize)
      ? `block_size is ${blockSize}; it must be a whole number of 1 or more`
      : !(threshold > 0 && threshold <= 1)
        ? `threshold is ${threshold}; as a change of a probability it must be above 0 and at most 1`
        : seeds < 1 || seeds > MAX_SEEDS
          ? `seeds is ${seeds}; 1 to ${MAX_SEEDS} random orders are allowed`
          : undefined;
  if (problem !== undefined) throw fault('REQUEST_INVALID', `${problem}.`);
}

const blocksOf = (order: OffSet, blockSize: number): OffSet[] => {
  const blocks: OffSet[] = [];
  for (let start = 0; start < order.length; start += blockSize) blocks.push(order.slice(start, start + blockSize));
  return blocks;
};

async function keepBlocks(task: FilterTask, order: OffSet, options: PaperOptions): Promise<Set<number>> {
  let off = order;
  let [current] = await task.score([off]);
  for (const [number, block] of blocksOf(order, options.blockSize).entries()) {
    const restored = new Set(block);
    const trial = off.filter((candidate) => !restored.has(candidate));
    const [score] = await task.score([trial]);
    const needed = Math.abs(score!.pI - current!.pI) > options.threshold;
    task.step({
      featuresOff: trial.length,
      score: score!.refusalScore,
      flipped: isFlip(score!),
      action: `restore block ${number + 1}`,
    });
    if (!needed) {
      off = trial;
      current = score;
    }
  }
  return new Set(off);
}

/** @throws REQUEST_INVALID for options outside their ranges. */
export const createPaperFilter = (options: PaperOptions): Filter => {
  assertOptions(options);
  return async (task) => {
    const random = createSeededRandom(options.seed).fork('paper');
    let kept: OffSet = task.byCosine;
    for (let round = 0; round < options.seeds; round++) {
      const order = random.shuffle([...task.byCosine]);
      const found = await keepBlocks(task, order, options);
      kept = kept.filter((candidate) => found.has(candidate));
    }
    return kept;
  };
};
