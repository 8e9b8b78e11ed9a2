/**
 * SAELens folders: `cfg.json` and `sae_weights.safetensors`. Reads configs of version 6 (nested metadata) and the flat ones before it.
 * BatchTopK and Matryoshka SAEs are saved as jumprelu by SAELens itself. Flags that change the arithmetic are honoured or refused;
 * none is passed over.
 */
import { fault } from '../../../shared/errors/fault.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import {
  type ArchitectureName,
  type Reading,
  type SaeDescription,
  settledReading,
  UNSCALED,
  type VectorPlace,
  type VectorSymbol,
} from '../sae-description.js';
import { layerOfHook } from './hook-layer.js';
import { type Config, MAX_D_IN, MAX_D_SAE, type SaeFolder } from './sae-folder.js';
import type { SaeFormat } from './sae-format.js';
import { matrixAt, type SaeShape, vectorAt } from './sae-tensors.js';
import { unknownScaleReadings } from './unknown-scale.js';

const CONFIG = 'cfg.json';
const FILE = 'sae_weights.safetensors';

const ARCHITECTURES: Readonly<Record<string, ArchitectureName>> = {
  standard: 'standard',
  jumprelu: 'jumprelu',
  batchtopk: 'jumprelu',
  topk: 'topk',
  gated: 'gated',
};

const VECTORS: Readonly<Record<ArchitectureName, readonly VectorSymbol[]>> = {
  standard: ['b_enc'],
  jumprelu: ['b_enc', 'threshold'],
  topk: ['b_enc'],
  gated: ['b_gate', 'b_mag', 'r_mag'],
};

/** Before version 6 a TopK SAE is "standard" with another activation function. */
const architectureOf = (config: Config): ArchitectureName => {
  const key = config.has('activation_fn_str') ? 'activation_fn_str' : 'activation_fn';
  const activation = config.textOr(key, 'relu');
  if (activation === 'topk') return 'topk';
  if (activation !== 'relu') throw config.unsupported(key, '"relu" and "topk" are.');
  const name = config.textOr('architecture', 'standard');
  const known = Object.hasOwn(ARCHITECTURES, name) ? ARCHITECTURES[name] : undefined;
  if (known === undefined)
    throw config.unsupported('architecture', `SAEs of these are: ${Object.keys(ARCHITECTURES).join(', ')}.`);
  return known;
};

const layerOf = (config: Config): number => {
  const metadata = config.section('metadata');
  const holder = [metadata, config].find((part) => part.has('hook_name') || part.has('hook_point')) ?? metadata;
  const layer = layerOfHook(config.path, holder.text(holder.has('hook_point') ? 'hook_point' : 'hook_name'));
  const stated = [metadata, config].find((part) => part.has('hook_layer'));
  const before = holder.textOr('hook_name', '').endsWith('_pre') ? 1 : 0;
  if (stated !== undefined && stated.wholeNumber('hook_layer', 0, 9999) !== layer + before)
    throw stated.invalid('hook_layer', `${layer + before}, as the hook name says`);
  return layer;
};

const readingsOf = (config: Config): readonly [Reading, ...Reading[]] => {
  const key = 'normalize_activations';
  const value = config.raw(key) ?? 'none';
  const kind = value === true ? 'expected_average_only_in' : value === false ? 'none' : value;
  if (kind === 'none') return [UNSCALED];
  if (kind === 'constant_norm_rescale') return [settledReading({ kind: 'constant-norm' })];
  if (kind === 'layer_norm') return [settledReading({ kind: 'layer-norm' })];
  if (kind !== 'expected_average_only_in')
    throw config.unsupported(key, 'none, expected_average_only_in, constant_norm_rescale and layer_norm are.');
  const holder = [config, config.section('metadata')].find((part) => part.has('norm_scaling_factor'));
  if (holder === undefined) return unknownScaleReadings();
  return [settledReading({ kind: 'fixed', scale: holder.positive('norm_scaling_factor') }, 'stated scale, folded in')];
};

const assertPlain = (config: Config, source: TensorSource): void => {
  if (config.textOr('reshape_activations', 'none') !== 'none')
    throw config.unsupported('reshape_activations', 'Only SAEs on the residual stream are.');
  for (const name of ['scaling_factor', 'finetuning_scaling_factor'])
    if (source.has(name) && source.readFloat32(name).some((value) => Math.abs(value - 1) > 1e-6))
      throw fault(
        'TENSOR_FILE_UNSUPPORTED',
        `${source.path}: tensor "${name}" is not 1 everywhere. Fold it into W_dec with SAELens and save again.`,
      );
  if (source.has('W_skip'))
    throw fault('TENSOR_FILE_UNSUPPORTED', `${source.path} has a tensor "W_skip": it is a transcoder, not an SAE.`);
};

const vectorsOf = (
  source: TensorSource,
  architecture: ArchitectureName,
  { dSae }: SaeShape,
): Partial<Record<VectorSymbol, VectorPlace>> =>
  Object.fromEntries(VECTORS[architecture].map((symbol) => [symbol, vectorAt(source, symbol, dSae)]));

const topK = (config: Config, dSae: number): Pick<SaeDescription, 'k' | 'rescalesByDecoderNorm'> => ({
  k: (config.has('k') ? config : config.section('activation_fn_kwargs')).wholeNumber('k', 1, dSae),
  rescalesByDecoderNorm: config.flagOr('rescale_acts_by_decoder_norm', false),
});

const publishedOf = (config: Config, k: number | undefined): SaeDescription['published'] => {
  const measured = config.section('metadata').section('measured');
  const l0 = measured.positiveOr('l0', k);
  const fvu = measured.positiveOr('fvu', undefined);
  return { ...(l0 !== undefined && { l0 }), ...(fvu !== undefined && { fvu }) };
};

const describe = (folder: SaeFolder): SaeDescription => {
  const config = folder.config(CONFIG);
  const architecture = architectureOf(config);
  const shape = { dIn: config.wholeNumber('d_in', 1, MAX_D_IN), dSae: config.wholeNumber('d_sae', 1, MAX_D_SAE) };
  const path = folder.file(FILE);
  const source = openTensorFile(path);
  try {
    assertPlain(config, source);
    const choice = architecture === 'topk' ? topK(config, shape.dSae) : {};
    return {
      folder: folder.path,
      file: path,
      format: 'saelens',
      architecture,
      layer: layerOf(config),
      ...shape,
      encoder: matrixAt(source, 'W_enc', 'feature-columns', shape),
      decoder: matrixAt(source, 'W_dec', 'feature-rows', shape),
      bDec: vectorAt(source, 'b_dec', shape.dIn),
      vectors: vectorsOf(source, architecture, shape),
      // The default of SAELens, in configs of every version.
      appliesBDec: config.flagOr('apply_b_dec_to_input', true),
      ...choice,
      readings: readingsOf(config),
      published: publishedOf(config, choice.k),
    };
  } finally {
    source.close();
  }
};

export const saelens: SaeFormat = {
  name: 'saelens',
  matches: (folder) => folder.has(CONFIG) && folder.has(FILE),
  describe,
};
