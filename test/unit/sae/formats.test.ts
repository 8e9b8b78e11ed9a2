import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { BlockCache } from '../../../services/sae/block-cache.js';
import { chooseReading } from '../../../services/sae/choose-reading.js';
import { findSaes } from '../../../services/sae/find-saes.js';
import { unknownScaleReadings } from '../../../services/sae/formats/unknown-scale.js';
import { reconstruct } from '../../../services/sae/measure-fit.js';
import { openSae } from '../../../services/sae/open-sae.js';
import { SaeStore } from '../../../services/sae/sae-store.js';
import {
  applyEdits,
  CASES,
  caseNamed,
  D_IN,
  D_SAE,
  dense,
  expectedOf,
  FIXTURES,
  relativeDifference,
  type SaeCase,
} from './sae-cases.js';

const CACHE_BYTES = 1 << 20;
const go = () => {};

const admitted = (one: SaeCase): SaeStore => {
  const store = new SaeStore(findSaes([join(FIXTURES, one.folder)]), CACHE_BYTES);
  store.admit(one.layer, expectedOf(one.name, 'x'), D_IN, go);
  return store;
};

const editedBy = (store: SaeStore, one: SaeCase): Float32Array => {
  const [rows] = store.editRows(
    one.features.map((index) => ({ layer: one.layer, index })),
    go,
  );
  return applyEdits(expectedOf(one.name, 'x'), rows!, one.target);
};

describe.each(CASES)('$name', (one) => {
  it('is recognised, with layer, shape and architecture', () => {
    const [found] = findSaes([join(FIXTURES, one.folder)]);
    expect(found).toMatchObject({
      format: one.format,
      architecture: one.architecture,
      layer: one.layer,
      dIn: D_IN,
      dSae: D_SAE,
    });
  });

  it('encodes as the reference does', () => {
    const store = admitted(one);
    const rows = store.encode(one.layer, expectedOf(one.name, 'x'), D_IN, [], go);
    expect(relativeDifference(dense(rows), expectedOf(one.name, 'acts'))).toBeLessThan(1e-5);
    store.close();
  });

  it('encodes chosen features alone to the same values', () => {
    const store = admitted(one);
    const x = expectedOf(one.name, 'x');
    const all = store.encode(one.layer, x, D_IN, [], go);
    const some = store.encode(one.layer, x, D_IN, [40, 3, 17, 3], go);
    const wanted = all.map(({ indices, values }) => {
      const kept = [...indices.keys()].filter((k) => [3, 17, 40].includes(indices[k]!));
      return { indices: kept.map((k) => indices[k]!), values: kept.map((k) => values[k]!) };
    });
    expect(some).toEqual(wanted);
    store.close();
  });

  it('decodes as the reference does', () => {
    const x = expectedOf(one.name, 'x');
    const open = openSae(findSaes([join(FIXTURES, one.folder)])[0]!, new BlockCache(CACHE_BYTES));
    const { sae } = chooseReading(open, x);
    const store = admitted(one);
    const rows = store.encode(one.layer, x, D_IN, [], go);
    expect(relativeDifference(reconstruct(sae, x, rows), expectedOf(one.name, 'recon'))).toBeLessThan(1e-5);
    open.close();
    store.close();
  });
});

/** TopK edits read one threshold; the own-norm case has residuals of different norms. Both say that they are not exact. */
const inexact = (one: SaeCase): boolean => one.architecture === 'topk' || one.editsExact === false;

describe.each(CASES.filter((one) => !inexact(one)))('$name', (one) => {
  it('edits as the reference does, with the reconstruction error kept', () => {
    const store = admitted(one);
    const edited = editedBy(store, one);
    expect(relativeDifference(edited, expectedOf(one.name, 'edited'))).toBeLessThan(1e-5);
    expect(relativeDifference(expectedOf(one.name, 'x'), expectedOf(one.name, 'edited'))).toBeGreaterThan(1e-3);
    store.close();
  });
});

describe.each(CASES.filter(inexact))('$name', (one) => {
  it('says that its edits are not exact, and why', () => {
    const store = admitted(one);
    const [info] = store.list();
    expect(info!.editsExact).toBe(false);
    expect(info!.editsNote).toMatch(
      one.architecture === 'topk' ? /TopK.*Threshold.*% are on by both/ : /scale.*varies by/,
    );
    store.close();
  });

  it('hands out no rows before it is measured', () => {
    const store = new SaeStore(findSaes([join(FIXTURES, one.folder)]), CACHE_BYTES);
    expect(() => editedBy(store, one)).toThrow(
      expect.objectContaining({ code: 'SAE_NOT_ADMITTED', message: expect.stringContaining('Call AdmitSae first.') }),
    );
    store.close();
  });
});

describe('a topk SAE that rescales by the decoder norm', () => {
  it('edits exactly what its threshold lets through: features on by both rules change as in SAELens', () => {
    const one = caseNamed('saelens-topk-by-decoder-norm');
    const store = admitted(one);
    const x = expectedOf(one.name, 'x');
    const [rows] = store.editRows(
      one.features.map((index) => ({ layer: one.layer, index })),
      go,
    );
    const acts = expectedOf(one.name, 'acts');
    const edited = applyEdits(x, rows!, 0);
    const reference = expectedOf(one.name, 'edited');
    let compared = 0;
    for (let r = 0; r < x.length / D_IN; r++) {
      const same = one.features.every((feature, k) => {
        let z = rows!.bias[k]!;
        for (let i = 0; i < D_IN; i++) z += x[r * D_IN + i]! * rows!.read[k * D_IN + i]!;
        return z > rows!.threshold[k]! === acts[r * D_SAE + feature]! > 0;
      });
      if (!same) continue;
      compared++;
      const at = [r * D_IN, (r + 1) * D_IN] as const;
      expect(relativeDifference(edited.subarray(...at), reference.subarray(...at))).toBeLessThan(1e-5);
    }
    expect(compared).toBeGreaterThan(12);
    store.close();
  });
});

describe('Llama Scope', () => {
  it.each(CASES.filter(({ reading }) => reading !== undefined))(
    '$name: admission finds its reading and records it',
    (one) => {
      const store = new SaeStore(findSaes([join(FIXTURES, one.folder)]), CACHE_BYTES);
      const x = expectedOf(one.name, 'x');
      expect(() => store.encode(one.layer, x, D_IN, [], go)).toThrow(
        expect.objectContaining({ code: 'SAE_NOT_ADMITTED' }),
      );
      const admission = store.admit(one.layer, x, D_IN, go);
      expect(admission.reason).toContain(`Reading "${one.reading}" chosen of `);
      expect(admission.reason.match(/fvu/g)).toHaveLength(3);
      store.close();
    },
  );
});

/** Standard normal by Box and Muller, from a hash of i. */
const noise = (i: number): number => {
  const uniform = (salt: number) => Math.abs(Math.sin(i * 12.9898 + salt) * 43758.5453) % 1;
  return Math.sqrt(-2 * Math.log(uniform(1) + 1e-9)) * Math.cos(2 * Math.PI * uniform(2));
};

describe('an SAE trained on scaled inputs whose scale is not in its files', () => {
  it('waits for admission, which measures the scale and does not take it for none', () => {
    const one = caseNamed('llamascope-r1');
    const [stated] = findSaes([join(FIXTURES, one.folder)]);
    const store = new SaeStore([{ ...stated!, readings: unknownScaleReadings() }], CACHE_BYTES);
    // Noise that stays below the threshold once it is scaled, and would pass it unscaled.
    const x = expectedOf(one.name, 'x').map((value, i) => value + 0.6 * noise(i));
    expect(() => store.encode(9, x, D_IN, [], go)).toThrow(
      expect.objectContaining({
        code: 'SAE_NOT_ADMITTED',
        message: expect.stringContaining('The files leave the normalization open.'),
      }),
    );
    const { verified, reason } = store.admit(9, x, D_IN, go);
    expect(verified).toBe(true);
    expect(reason).toMatch(
      /Reading "(scale sqrt\(d\) \/ mean norm, measured|each residual scaled by its own norm)" chosen/,
    );
    const acts = dense(store.encode(9, x, D_IN, [], go));
    const active = (values: Float32Array) => values.map((value) => (value > 0 ? 1 : 0));
    expect(active(acts)).toEqual(active(expectedOf(one.name, 'acts')));
    store.close();
  });
});
