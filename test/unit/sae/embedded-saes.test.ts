import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findSaes } from '../../../services/sae/find-saes.js';
import { SaeStore } from '../../../services/sae/sae-store.js';
import { projectRoot } from '../../../shared/project/root.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';

const GOLDEN = join(projectRoot, 'test/fixtures/golden');

interface GoldenSae {
  readonly layer: number;
  readonly nearest_to_direction: readonly { readonly feature: number; readonly cosine: number }[];
}
const golden = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model.json'), 'utf8')) as { sae: GoldenSae[] };
const directions = openSafetensors(join(GOLDEN, 'directions.safetensors'));
const descriptions = findSaes([join(projectRoot, 'models/saes')]);

const normOfRow = (rows: Float32Array, k: number): number => Math.hypot(...rows.subarray(k * 576, (k + 1) * 576));

describe('the embedded SAEs', () => {
  it('are found by layer, with shape, format and published numbers', () => {
    expect(descriptions.map(({ layer }) => layer)).toEqual([5, 9, 13, 17, 21, 25]);
    for (const description of descriptions)
      expect(description).toMatchObject({ format: 'saelens', architecture: 'jumprelu', dIn: 576, dSae: 2304 });
    expect(descriptions[2]!.published).toEqual({ l0: 31.04, fvu: 0.1506 });
  });

  it.each(golden.sae)('layer $layer: the features nearest to the direction are those of PyTorch', (expected) => {
    const store = new SaeStore(descriptions, 1 << 28);
    const direction = directions.readFloat32(`direction.${expected.layer}`);
    const found = store.nearest(expected.layer, direction, expected.nearest_to_direction.length, () => {});
    expect(found.map(({ index }) => index)).toEqual(expected.nearest_to_direction.map(({ feature }) => feature));
    // PyTorch's number is W_dec . direction, and float16 rows have norm 1 within 3e-5: times that norm, ours is the same number.
    const indices = found.map(({ index }) => ({ layer: expected.layer, index }));
    const [rows] = store.editRows(indices, () => {});
    const norms = new Map(rows!.features.map((index, k) => [index, normOfRow(rows!.write, k)]));
    expected.nearest_to_direction.forEach(({ cosine }, i) => {
      expect(Math.abs(found[i]!.cosine - cosine)).toBeLessThan(3e-5);
      expect(Math.abs(found[i]!.cosine * norms.get(found[i]!.index)! - cosine)).toBeLessThan(1e-6);
    });
    store.close();
  });

  it('find each decoder row as its own nearest feature, and a flipped direction does not', () => {
    const store = new SaeStore(descriptions, 1 << 28);
    const [rows] = store.editRows([{ layer: 13, index: 1701 }], () => {});
    expect(store.nearest(13, rows!.write, 1, () => {})[0]).toMatchObject({ index: 1701 });
    expect(
      store.nearest(
        13,
        rows!.write.map((value) => -value),
        1,
        () => {},
      )[0]!.index,
    ).not.toBe(1701);
    store.close();
  });
});
