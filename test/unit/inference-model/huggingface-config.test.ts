import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ropeTable } from '../../../services/inference/graph/rope-table.js';
import { readHuggingfaceConfig } from '../../../services/inference/model/huggingface-config.js';
import { huggingfaceSpec } from '../../../services/inference/model/huggingface-model.js';
import type { ModelSpec, RopeSpec } from '../../../services/inference/model/model-spec.js';
import { isFault } from '../../../shared/errors/fault.js';
import { modelFixtures } from './compare-model.js';

const folder = mkdtempSync(join(tmpdir(), 'model-config-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, 'config.json');

type Config = Record<string, unknown>;

const read = (config: Config | string): ModelSpec => {
  writeFileSync(path, typeof config === 'string' ? config : JSON.stringify(config));
  return huggingfaceSpec(readHuggingfaceConfig(folder));
};

const failure = (config: Config | string): string => {
  try {
    read(config);
  } catch (thrown) {
    if (isFault(thrown)) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'no fault';
};

interface Published {
  readonly name: string;
  readonly config: Config;
  readonly expected: Config & { frequencies: { global: number[]; local?: number[] } };
}

const published = JSON.parse(readFileSync(join(modelFixtures, 'published-configs.json'), 'utf8')) as Published[];
const llama = published[0].config;
const gemma = published.find(({ name }) => name === 'gemma-2-2b-it')?.config as Config;

/** The angles at position 1, of which none is above 1. */
const frequenciesOf = (rope: RopeSpec, headDim: number): number[] =>
  [...ropeTable(rope, headDim, 2).sin.subarray(headDim / 2)].map(Math.asin);

/** Python's square root and ours may differ in the last bit of a float64. */
const inFloat32 = (value: unknown): unknown => (typeof value === 'number' ? Math.fround(value) : (value ?? null));

describe('published config.json files give the numbers that transformers takes from them', () => {
  it.each(published)('$name', ({ config, expected: { frequencies, ...expected } }) => {
    const spec = read(config);
    // A window that no layer uses (Qwen) has no meaning.
    const wanted = (expected.isLocal as boolean[]).some(Boolean) ? expected : { ...expected, slidingWindow: null };
    for (const [key, value] of Object.entries(wanted)) {
      expect([key, inFloat32(spec[key as keyof ModelSpec])]).toEqual([key, inFloat32(value)]);
    }
    const close = (given: number[], want: number[]) =>
      given.length === want.length && given.every((value, i) => Math.abs(value / want[i] - 1) < 1e-5);
    expect(close(frequenciesOf(spec.rope, spec.headDim), frequencies.global)).toBe(true);
    expect(spec.localRope === undefined).toBe(frequencies.local === undefined);
    if (spec.localRope) expect(close(frequenciesOf(spec.localRope, spec.headDim), frequencies.local ?? [])).toBe(true);
  });

  it('the scaling divides long wavelengths by its factor and leaves short ones', () => {
    const { rope } = read(llama);
    expect(rope.frequencyDivisors?.[0]).toBe(1);
    expect(rope.frequencyDivisors?.at(-1)).toBe(8);
    const between = (rope.frequencyDivisors ?? []).filter((value) => value > 1 && value < 8);
    expect(between.length).toBeGreaterThan(0);
  });
});

describe('transformers 5 writes other keys for the same model', () => {
  it('rope_parameters for rope_theta and rope_scaling', () => {
    const { rope_theta, rope_scaling, ...rest } = llama;
    const form5 = { ...rest, rope_parameters: { ...(rope_scaling as Config), rope_theta } };
    expect(read(form5)).toEqual(read(llama));
  });

  it('layer_types for a pattern, rope_parameters by layer type', () => {
    const config = published.find(({ name }) => name === 'gemma-3-1b-it')?.config as Config;
    const { rope_theta, rope_local_base_freq, rope_scaling: _, sliding_window_pattern: __, ...rest } = config;
    const layer_types = Array.from({ length: 26 }, (_, i) => (i % 6 === 5 ? 'full_attention' : 'sliding_attention'));
    const rope_parameters = {
      full_attention: { rope_type: 'default', rope_theta },
      sliding_attention: { rope_type: 'default', rope_theta: rope_local_base_freq },
    };
    expect(read({ ...rest, layer_types, rope_parameters })).toEqual(read(config));
  });
});

describe('null and a missing key differ where they do in transformers', () => {
  it('soft-capping: missing is the family default, null is off', () => {
    const { attn_logit_softcapping: _, ...without } = gemma;
    expect(read(without).attentionSoftcap).toBe(50);
    expect(read({ ...gemma, attn_logit_softcapping: null }).attentionSoftcap).toBeUndefined();
  });
});

describe('what is refused, by the name of the key', () => {
  const cases: [string, Config, string, string][] = [
    [
      'another family',
      { model_type: 'mamba' },
      'TENSOR_FILE_UNSUPPORTED',
      '"model_type" is "mamba", which is not read here. Supported are llama',
    ],
    ['no family', { model_type: undefined }, 'TENSOR_FILE_UNSUPPORTED', '"model_type"'],
    ['a missing width', { hidden_size: undefined }, 'TENSOR_FILE_CORRUPT', '"hidden_size" is "missing"'],
    [
      'a count of layers beyond reason',
      { num_hidden_layers: 1e9 },
      'TENSOR_FILE_CORRUPT',
      '"num_hidden_layers" is "1000000000"',
    ],
    ['half a layer', { num_hidden_layers: 1.5 }, 'TENSOR_FILE_CORRUPT', '"num_hidden_layers" is "1.5"'],
    [
      'heads that do not divide',
      { num_key_value_heads: 5 },
      'TENSOR_FILE_CORRUPT',
      'it must divide the 32 attention heads',
    ],
    ['an odd head', { head_dim: 33 }, 'TENSOR_FILE_CORRUPT', '"head_dim" is 33'],
    ['a width that heads do not divide', { hidden_size: 4095 }, 'TENSOR_FILE_CORRUPT', '"head_dim"'],
    ['another activation', { hidden_act: 'relu' }, 'TENSOR_FILE_UNSUPPORTED', '"hidden_act" is "relu"'],
    [
      'YaRN',
      { rope_scaling: { rope_type: 'yarn', factor: 4 } },
      'TENSOR_FILE_UNSUPPORTED',
      '"rope_scaling.rope_type" is "yarn"',
    ],
    [
      'linear scaling without a factor',
      { rope_scaling: { type: 'linear' } },
      'TENSOR_FILE_CORRUPT',
      '"rope_scaling.factor" is "missing"',
    ],
    ['partial rotation', { partial_rotary_factor: 0.5 }, 'TENSOR_FILE_CORRUPT', '"partial_rotary_factor" is "0.5"'],
    [
      'layer_types of another length',
      { layer_types: ['sliding_attention'], use_sliding_window: true, sliding_window: 8 },
      'TENSOR_FILE_CORRUPT',
      '"layer_types" is "1 entries"',
    ],
    [
      'another kind of attention',
      { layer_types: ['linear_attention'] },
      'TENSOR_FILE_CORRUPT',
      '"layer_types.0" is "\\"linear_attention\\""',
    ],
    ['quantized weights', { quantization_config: { bits: 4 } }, 'TENSOR_FILE_UNSUPPORTED', '"quantization_config"'],
  ];
  it.each(cases)('%s', (_, change, code, text) => {
    const message = failure({ ...llama, ...change });
    expect(message.startsWith(`${code}: ${path}: `)).toBe(true);
    expect(message).toContain(text);
  });

  it('attention in both directions', () => {
    expect(failure({ ...gemma, use_bidirectional_attention: true })).toContain(
      '"use_bidirectional_attention" is "true"',
    );
  });

  it.each([
    ['no JSON', '{"model_type": '],
    ['no object', '[1, 2]'],
    ['a key given twice', '{"model_type": "llama", "model_type": "gemma2"}'],
    ['depth', `{"a": ${'['.repeat(40)}${']'.repeat(40)}}`],
  ])('%s', (_, text) => {
    expect(failure(text)).toMatch(/^TENSOR_FILE_CORRUPT: /);
  });

  it('a missing file', () => {
    rmSync(path, { force: true });
    expect(() => readHuggingfaceConfig(folder)).toThrow(/config\.json cannot be read/);
  });

  it('any value under any key ends in a spec or a fault', () => {
    const keys = fc.constantFrom(...Object.keys(llama), 'layer_types', 'rope_parameters', 'head_dim', 'text_config');
    fc.assert(
      fc.property(keys, fc.jsonValue(), (key, value) => {
        const message = failure({ ...llama, [key]: value });
        expect(message).toMatch(/^(no fault|TENSOR_FILE_(CORRUPT|UNSUPPORTED): )/);
      }),
      { numRuns: 300 },
    );
  });
});
