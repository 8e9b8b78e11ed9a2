/**
 * The same work for every contestant: prompts, candidates near the direction at all six SAE layers, and the masks that a plain greedy
 * stage-2 search asks for, recorded once. Plain greedy, because any tool could run it; what RefusalScope's own search saves is a
 * figure of its own.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { EditBank } from '../../proto/gen/refusalscope/v1/types.js';
import { findSaes } from '../../services/sae/find-saes.js';
import { SaeStore } from '../../services/sae/sae-store.js';
import { type FilterTask, isFlip, type OffSet, type SetScore } from '../../services/search/filter/filter.js';
import { createGreedyFilter } from '../../services/search/filter/greedy.js';
import { projectRoot } from '../../shared/project/root.js';
import { openSafetensors } from '../../shared/tensor-files/safetensors.js';
import { encodeMatrix, encodeRow } from '../../shared/tensors/matrix.js';
import { encodePositions, INSTRUCTION_POSITIONS } from '../../shared/tensors/positions.js';

export interface WorkPrompt {
  readonly id: string;
  readonly token_ids: readonly number[];
}

/** What the peers in bench/peers read. */
export interface WorkFile {
  readonly threads: number;
  readonly model_dir: string;
  readonly sae_dir: string;
  readonly instruction_start: number;
  readonly openers: readonly { readonly text: string; readonly token_ids: readonly number[] }[];
  readonly first_token_ids: readonly number[];
  readonly i_token: number;
  readonly banks: readonly { readonly features: readonly string[]; readonly positions: 'instruction' }[];
  readonly prompts: readonly WorkPrompt[];
  readonly evaluations: readonly { readonly prompt: string; readonly bank: number; readonly mask: string }[];
}

export interface Golden {
  readonly openers: WorkFile['openers'];
  readonly refusal_tokens: readonly number[];
  readonly I_token: number;
  readonly clean: readonly { readonly id: string; readonly token_ids: readonly number[] }[];
  readonly sae_layers: readonly number[];
}

const GOLDEN = join(projectRoot, 'test/fixtures/golden');
export const golden: Golden = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model.json'), 'utf8'));
export const saeFolder = join(projectRoot, 'models/saes');
export const adapterFolder = join(projectRoot, 'models/adapter');

/** "layer/index" of the `count` features nearest to each layer's golden direction, layers ascending, nearest first. */
export function nearestFeatures(store: SaeStore, count: number, layers: readonly number[]): string[] {
  const directions = openSafetensors(join(GOLDEN, 'directions.safetensors'));
  const names = layers.flatMap((layer) =>
    store
      .nearest(layer, directions.readFloat32(`direction.${layer}`), count, () => {})
      .map(({ index }) => `${layer}/${index}`),
  );
  directions.close();
  return names;
}

export const openSaeStore = (): SaeStore => new SaeStore(findSaes([saeFolder], {}), 512 << 20);

/** The bank of these features, in their order; features of one layer must stand together. */
export function bankOf(store: SaeStore, names: readonly string[]): EditBank {
  const features = names.map((name) => name.split('/').map(Number)).map(([layer, index]) => ({ layer, index }));
  return {
    layers: [...new Set(features.map(({ layer }) => layer))].map((layer) => {
      const own = features.filter((feature) => feature.layer === layer);
      const [rows] = store.editRows(own, () => {});
      // The store answers by index; masks need the order of the names.
      const place = own.map(({ index }) => rows.features.indexOf(index));
      const pick = (values: Float32Array) => Float32Array.from(place, (row) => values[row]);
      const pickRows = (values: Float32Array) => {
        const picked = new Float32Array(values.length);
        for (const [to, from] of place.entries()) {
          picked.set(values.subarray(from * rows.dIn, (from + 1) * rows.dIn), to * rows.dIn);
        }
        return encodeMatrix({ rows: own.length, cols: rows.dIn, data: picked });
      };
      return {
        layer,
        read: pickRows(rows.read),
        bias: encodeRow(pick(rows.bias)),
        threshold: encodeRow(pick(rows.threshold)),
        write: pickRows(rows.write),
        target: encodeRow(new Float32Array(own.length)),
        positions: encodePositions(INSTRUCTION_POSITIONS),
        names: own.map(({ index }) => `${layer}/${index}`),
      };
    }),
  };
}

/** Every mask that a plain greedy search asks for on one prompt, in order; `score` answers sets of indices that are off. */
export async function recordGreedy(
  size: number,
  names: readonly string[],
  score: (sets: readonly OffSet[]) => Promise<readonly SetScore[]>,
): Promise<string[]> {
  const masks: string[] = [];
  const recorded = async (sets: readonly OffSet[]): Promise<readonly SetScore[]> => {
    for (const set of sets) masks.push(maskText(size, set));
    return score(sets);
  };
  const all = Array.from({ length: size }, (_, i) => i);
  const [full] = await recorded([all]);
  if (full === undefined || !isFlip(full)) return masks;
  const task: FilterTask = {
    size,
    byEstimate: all,
    activeCount: size,
    byCosine: all,
    score: recorded,
    nameOf: (candidate) => names[candidate],
    step: () => {},
  };
  await createGreedyFilter()(task);
  return masks;
}

const maskText = (size: number, on: OffSet): string => {
  const members = new Set(on);
  return Array.from({ length: size }, (_, i) => (members.has(i) ? '1' : '0')).join('');
};
