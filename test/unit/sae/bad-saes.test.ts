import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { findSaes } from '../../../services/sae/find-saes.js';
import { SaeStore } from '../../../services/sae/sae-store.js';
import { caseNamed, D_IN, expectedOf, FIXTURES } from './sae-cases.js';
import { rewriteSafetensors, type Tensors } from './write-safetensors.js';

const made: string[] = [];
afterEach(() => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true });
});

/** A copy of a fixture's folder tree, and the folder of the SAE in it. */
const copyOf = (name: string): { root: string; folder: string } => {
  const root = mkdtempSync(join(tmpdir(), 'sae-'));
  made.push(root);
  const { folder } = caseNamed(name);
  mkdirSync(dirname(join(root, folder)), { recursive: true });
  cpSync(join(FIXTURES, folder), join(root, folder), { recursive: true });
  return { root, folder: join(root, folder) };
};

const withConfig = (name: string, change: Record<string, unknown>, file = 'cfg.json'): string => {
  const { root, folder } = copyOf(name);
  const path = join(folder, file);
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
  return root;
};

const withTensors = (name: string, change: (tensors: Tensors) => void, file = 'sae_weights.safetensors'): string => {
  const { root, folder } = copyOf(name);
  rewriteSafetensors(join(folder, file), change);
  return root;
};

const refusal = (run: () => unknown): { code: string; message: string } => {
  try {
    run();
  } catch (thrown) {
    return thrown as { code: string; message: string };
  }
  throw new Error('a fault was expected');
};

const metadata = (hook: object) => ({ metadata: { sae_lens_version: '6.54.12', ...hook } });

describe('configs that are refused', () => {
  it.each<[string, string, Record<string, unknown>, string, RegExp]>([
    [
      'd_in is absurd',
      'saelens-standard',
      { d_in: 1e9 },
      'CONFIG_INVALID',
      /cfg\.json: d_in is "1000000000"; it must be a whole number between 1 and 65536\./,
    ],
    [
      'd_sae is negative',
      'saelens-standard',
      { d_sae: -3 },
      'CONFIG_INVALID',
      /d_sae is "-3"; it must be a whole number between 1 and 4194304\./,
    ],
    ['d_sae is missing', 'saelens-standard', { d_sae: undefined }, 'CONFIG_INVALID', /d_sae is missing/],
    [
      'd_in is not that of the weights',
      'saelens-standard',
      { d_in: 17 },
      'SHAPE_MISMATCH',
      /tensor "W_enc" is \[16, 48\]; the config or the other tensors need \[17, 48\]\./,
    ],
    [
      'the architecture is unknown',
      'saelens-standard',
      { architecture: 'temporal' },
      'TENSOR_FILE_UNSUPPORTED',
      /architecture is .*temporal.* SAEs of these are: standard, jumprelu, batchtopk, topk, gated\./,
    ],
    [
      'it is a transcoder',
      'saelens-standard',
      { architecture: 'skip_transcoder' },
      'TENSOR_FILE_UNSUPPORTED',
      /skip_transcoder/,
    ],
    [
      'a flag is no boolean',
      'saelens-standard',
      { apply_b_dec_to_input: 'yes' },
      'CONFIG_INVALID',
      /apply_b_dec_to_input is .*; it must be true or false\./,
    ],
    [
      'the normalization is unknown',
      'saelens-standard',
      { normalize_activations: 'covariance_whitening' },
      'TENSOR_FILE_UNSUPPORTED',
      /normalize_activations .*none, expected_average_only_in, constant_norm_rescale and layer_norm are\./,
    ],
    [
      'it is on hook_z',
      'saelens-standard',
      { reshape_activations: 'hook_z' },
      'TENSOR_FILE_UNSUPPORTED',
      /Only SAEs on the residual stream are\./,
    ],
    [
      'it encodes an MLP',
      'saelens-standard',
      metadata({ hook_name: 'blocks.3.hook_mlp_out' }),
      'TENSOR_FILE_UNSUPPORTED',
      /the SAE encodes "blocks\.3\.hook_mlp_out"\. Only SAEs on the output of a block are read/,
    ],
    [
      'it reads before the first block',
      'saelens-standard',
      metadata({ hook_name: 'blocks.0.hook_resid_pre' }),
      'TENSOR_FILE_UNSUPPORTED',
      /hook_resid_pre from block 1 on/,
    ],
    ['the hook is not named', 'saelens-standard', metadata({}), 'CONFIG_INVALID', /metadata\.hook_name is missing/],
    [
      'layer and hook disagree',
      'saelens-standard',
      metadata({ hook_name: 'blocks.3.hook_resid_post', hook_layer: 4 }),
      'CONFIG_INVALID',
      /metadata\.hook_layer is "4"; it must be 3, as the hook name says\./,
    ],
    [
      'k is above d_sae',
      'saelens-topk',
      { k: 49 },
      'CONFIG_INVALID',
      /k is "49"; it must be a whole number between 1 and 48\./,
    ],
  ])('%s', (_, name, change, code, text) => {
    const root = withConfig(name, change);
    expect(refusal(() => findSaes([root]))).toMatchObject({ code, message: expect.stringMatching(text) });
  });

  it.each<[string, string, string, Record<string, unknown>, string, RegExp]>([
    [
      'a negative threshold of Llama Scope',
      'llamascope-stored-threshold',
      'hyperparams.json',
      { jump_relu_threshold: -1 },
      'CONFIG_INVALID',
      /jump_relu_threshold is "-1"; it must be a number above 0\./,
    ],
    [
      'an average norm of 0',
      'llamascope-stored-threshold',
      'hyperparams.json',
      { dataset_average_activation_norm: { in: 0 } },
      'CONFIG_INVALID',
      /dataset_average_activation_norm\.in is "0"/,
    ],
    [
      'a Llama Scope transcoder',
      'llamascope-stored-threshold',
      'hyperparams.json',
      { hook_point_out: 'blocks.5.hook_mlp_out' },
      'TENSOR_FILE_UNSUPPORTED',
      /this is a transcoder/,
    ],
    [
      'a Gemma Scope 2 transcoder',
      'gemmascope-2',
      'config.json',
      { affine_connection: true },
      'TENSOR_FILE_UNSUPPORTED',
      /Transcoders are no SAEs/,
    ],
    [
      'signed sparsify activations',
      'sparsify',
      'cfg.json',
      { signed: true },
      'TENSOR_FILE_UNSUPPORTED',
      /Signed activations cannot be edited one-sided/,
    ],
    [
      'a groupmax sparsify SAE',
      'sparsify',
      'cfg.json',
      { activation: 'groupmax' },
      'TENSOR_FILE_UNSUPPORTED',
      /Only "topk" is/,
    ],
  ])('%s', (_, name, file, change, code, text) => {
    const root = withConfig(name, change, file);
    expect(refusal(() => findSaes([root]))).toMatchObject({ code, message: expect.stringMatching(text) });
  });

  it('names every unusable folder at once', () => {
    const first = withConfig('saelens-standard', { d_in: 0 });
    const second = withConfig('saelens-topk', { k: 0 });
    const { message } = refusal(() => findSaes([first, second]));
    expect(message).toMatch(/^2 SAE folders cannot be used:\n {2}.*d_in is "0".*\n {2}.*k is "0"/);
  });

  it('a config of megabytes is not parsed', () => {
    const { root, folder } = copyOf('saelens-standard');
    writeFileSync(join(folder, 'cfg.json'), `{"x": "${'a'.repeat(2 << 20)}"}`);
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('at most 1048576'),
    });
  });
});

describe('weights that are refused', () => {
  it('a missing tensor, by name', () => {
    const root = withTensors('saelens-jumprelu', (tensors) => void tensors.delete('threshold'));
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'TENSOR_NOT_FOUND',
      message: expect.stringContaining('"threshold"'),
    });
  });

  it('a scaling factor that is not 1', () => {
    const root = withTensors('saelens-standard', (tensors) => {
      const b = tensors.get('b_enc')!;
      tensors.set('scaling_factor', { ...b, values: b.values.map(() => 2) });
    });
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'TENSOR_FILE_UNSUPPORTED',
      message: expect.stringContaining('Fold it into W_dec'),
    });
  });

  const use = (root: string, name: string) => () => {
    const store = new SaeStore(findSaes([root]), 1 << 20);
    return store.encode(caseNamed(name).layer, expectedOf(name, 'x'), D_IN, [], () => {});
  };

  it.each(['W_enc', 'b_enc', 'b_dec'])('a NaN in %s, when the SAE is used', (tensor) => {
    const root = withTensors('saelens-standard', (tensors) => {
      tensors.get(tensor)!.values[5] = Number.NaN;
    });
    expect(refusal(use(root, 'saelens-standard'))).toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringMatching(new RegExp(`tensor "${tensor}" .*NaN at .*5.*cannot be used`)),
    });
  });

  it('an infinity in W_dec, when its row is asked for', () => {
    const root = withTensors('saelens-standard', (tensors) => {
      tensors.get('W_dec')!.values[2 * D_IN] = Number.POSITIVE_INFINITY;
    });
    const store = new SaeStore(findSaes([root]), 1 << 20);
    expect(refusal(() => store.editRows([{ layer: 3, index: 2 }], () => {}))).toMatchObject({
      code: 'NOT_FINITE',
      message: expect.stringContaining('holds Infinity at feature 2'),
    });
  });

  it('a file that is cut short', () => {
    const { root, folder } = copyOf('gemmascope');
    const path = join(folder, 'params.npz');
    writeFileSync(path, readFileSync(path).subarray(0, 4000));
    expect(refusal(() => findSaes([root]))).toMatchObject({ code: 'TENSOR_FILE_CORRUPT' });
  });
});

describe('folders', () => {
  it('with a pickle alone are refused with a way out', () => {
    const root = mkdtempSync(join(tmpdir(), 'sae-'));
    made.push(root);
    writeFileSync(join(root, 'ae.pt'), 'x');
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'TENSOR_FILE_UNSUPPORTED',
      message: expect.stringMatching(/holds "ae\.pt", a Python pickle.*save it with SAELens/),
    });
  });

  it('without an SAE are refused', () => {
    const root = mkdtempSync(join(tmpdir(), 'sae-'));
    made.push(root);
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^No SAE was found under/),
    });
  });

  it('with several SAEs of a layer need a choice, and the nearest L0 or the width decides', () => {
    const { root, folder } = copyOf('gemmascope');
    for (const l0 of [22, 99]) cpSync(folder, join(dirname(folder), `average_l0_${l0}`), { recursive: true });
    expect(refusal(() => findSaes([root]))).toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/^Layer 12 has 3 SAEs: .*choose by width and L0\./),
    });
    expect(findSaes([root], { l0: 30 })[0]!.published).toEqual({ l0: 22 });
    expect(findSaes([root], { l0: 100 })[0]!.published).toEqual({ l0: 99 });
    expect(refusal(() => findSaes([root], { width: 50 })).message).toMatch(
      /No SAE of layer 12 has 50 features; there are 48, 48, 48\./,
    );
  });

  it('of another place than the residual stream are refused', () => {
    const { root, folder } = copyOf('gemmascope');
    const target = join(root, 'gemma-scope-2b-pt-mlp', 'layer_12', 'width_16k', 'average_l0_7');
    cpSync(folder, target, { recursive: true });
    expect(refusal(() => findSaes([join(root, 'gemma-scope-2b-pt-mlp')]))).toMatchObject({
      code: 'TENSOR_FILE_UNSUPPORTED',
      message: expect.stringContaining('use the -res release'),
    });
  });
});
