/** How the cost of random masks grows with prompts, masks, features and edited layers, the engine called directly. */
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import { type Ask, startDirect } from './contestants.js';
import { bankOf, golden, nearestFeatures, openSaeStore, type WorkPrompt } from './workload.js';

export interface GrowthRow {
  readonly axis: 'prompts' | 'masks' | 'features' | 'layers';
  readonly value: number;
  readonly evaluations: number;
  readonly evaluations_per_second: number;
  /** Positions x blocks computed an evaluation. */
  readonly token_blocks: number;
}

const BASE = { prompts: 1, masks: 64, features: 20, layers: 6 };
const AXES = {
  prompts: [1, 4, 16, 64],
  masks: [1, 16, 64, 256, 1024, 4096],
  features: [2, 20, 100, 334],
  layers: [1, 2, 4, 6],
} as const;

/** `texts` are the token ids of 64 prompts. */
export async function measureGrowth(
  modelPath: string,
  prompts: readonly WorkPrompt[],
  quick: boolean,
): Promise<GrowthRow[]> {
  const store = openSaeStore();
  const direct = await startDirect(modelPath);
  const rows: GrowthRow[] = [];
  let seed = 0;
  for (const [axis, values] of Object.entries(AXES) as [keyof typeof AXES, readonly number[]][]) {
    for (const value of quick ? values.slice(0, 3) : values) {
      const size = { ...BASE, [axis]: value };
      const layers = golden.sae_layers.slice(golden.sae_layers.length - size.layers);
      const bank = bankOf(store, nearestFeatures(store, size.features, layers));
      const random = createSeededRandom(seed++);
      const edits = size.features * size.layers;
      // Half of the candidates off where there are few; with many, as many as a search would leave off.
      const share = Math.min(0.5, 60 / edits);
      const masks = Array.from({ length: axis === 'prompts' ? 16 : size.masks }, () =>
        Array.from({ length: edits }, () => (random.uniform() < share ? '1' : '0')).join(''),
      );
      // Fresh prompts each time (their last token but the template's differs), so that no state is known.
      const own = prompts.slice(0, size.prompts).map(({ id, token_ids }) => ({
        id,
        token_ids: token_ids.map((token, i) => (i === 30 ? 1000 + seed : token)),
      }));
      const asks: Ask[] = own.flatMap((_, prompt) => masks.map((mask) => ({ prompt, mask })));
      const before = await direct.engine.run('statistics', {}, new AbortController().signal);
      const start = performance.now();
      await direct.evaluate(own, bank, asks);
      const seconds = (performance.now() - start) / 1000;
      const after = await direct.engine.run('statistics', {}, new AbortController().signal);
      rows.push({
        axis,
        value: axis === 'features' ? edits : value,
        evaluations: asks.length,
        evaluations_per_second: asks.length / seconds,
        token_blocks: (after.tokenBlocks - before.tokenBlocks) / asks.length,
      });
    }
  }
  await direct.stop();
  return rows;
}
