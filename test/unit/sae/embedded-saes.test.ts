import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findSaes } from '../../../services/sae/find-saes.js';
import { SaeStore } from '../../../services/sae/sae-store.js';
import { projectRoot } from '../../../shared/project/root.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { FIXTURES } from './sae-cases.js';

const GOLDEN = join(projectRoot, 'test/fixtures/golden');

interface GoldenSae {
  readonly layer: number;
  readonly l0: number;
  readonly fvu: number;
  readonly last_position_top: readonly { readonly feature: number; readonly value: number }[];
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

interface Encoding {
  readonly prompt: string;
  readonly layer: number;
  readonly rows: readonly { readonly features: readonly number[]; readonly values: readonly number[] }[];
}
const more = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model-more.json'), 'utf8')) as { encodings: Encoding[] };
const residuals = openSafetensors(join(FIXTURES, 'embedded-residuals.safetensors'));

describe('encodings of the embedded model', () => {
  it.each(more.encodings)(
    '$prompt, layer $layer: every active feature and value of the last positions is as in SAELens',
    (one) => {
      const store = new SaeStore(descriptions, 1 << 28);
      const x = residuals.readFloat32(`${one.prompt}.${one.layer}`);
      const rows = store.encode(one.layer, x.subarray(x.length - one.rows.length * 576), 576, [], () => {});
      rows.forEach(({ indices, values }, r) => {
        expect(indices).toEqual(one.rows[r]!.features);
        const worst = Math.max(...values.map((value, k) => Math.abs(value - one.rows[r]!.values[k]!)));
        expect(worst).toBeLessThan(1e-4);
      });
      store.close();
    },
  );

  it.each(golden.sae)(
    'p001-harmful, layer $layer: the strongest features of the last position are those of PyTorch',
    (one) => {
      const store = new SaeStore(descriptions, 1 << 28);
      const x = residuals.readFloat32(`p001-harmful.${one.layer}`);
      const [row] = store.encode(one.layer, x.subarray(x.length - 576), 576, [], () => {});
      const order = [...row!.indices.keys()].sort((a, b) => row!.values[b]! - row!.values[a]!);
      const top = order.slice(0, one.last_position_top.length);
      expect(top.map((k) => row!.indices[k])).toEqual(one.last_position_top.map(({ feature }) => feature));
      top.forEach((k, i) => {
        expect(row!.values[k]).toBeCloseTo(one.last_position_top[i]!.value, 3);
      });
      store.close();
    },
  );
});

describe('admission of an embedded SAE', () => {
  const x = residuals.readFloat32('p001-harmful.13');

  it('measures the L0 and FVU of PyTorch on the same rows, and verifies it', () => {
    const store = new SaeStore(descriptions, 1 << 28);
    const admission = store.admit(13, x, 576, () => {});
    const { l0, fvu } = golden.sae.find(({ layer }) => layer === 13)!;
    expect(admission.l0).toBeCloseTo(l0, 5);
    expect(admission.fvu).toBeCloseTo(fvu, 5);
    expect(admission).toMatchObject({ verified: true, rows: 41, publishedL0: 31.04 });
    expect(admission.reason).toMatch(
      /^FVU 0\.0860 is within 0\.326 \(published 0\.151\); L0 31\.1 is within 10\.3 to 93\.1/,
    );
    expect(store.list().find(({ description }) => description.layer === 13)!.admission).toEqual(admission);
    store.close();
  });

  it.each([5, 9, 17, 21, 25])('does not verify the SAE of layer %i on residuals of layer 13', (layer) => {
    const store = new SaeStore(descriptions, 1 << 28);
    const admission = store.admit(layer, x, 576, () => {});
    expect(admission.verified).toBe(false);
    expect(admission.reason).toMatch(/is above|is outside/);
    store.close();
  });
});
