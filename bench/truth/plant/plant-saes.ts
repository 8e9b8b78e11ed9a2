/**
 * The SAEs of a planted model, in SAELens form: one a layer, with that layer's features at random places among decoys. Far decoys live
 * in nuisance space. Near ones have a decoder row that points along the direction as much as a real feature's does: half of them are
 * on with every trigger, half never; nothing that refuses reads what they write.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import type { FeatureId } from '../../../shared/tensors/feature-name.js';
import type { Mechanism } from '../mechanism.js';
import { AMPLITUDE, ECHO_AMPLITUDE, NUISANCE_AMPLITUDE, noiseShare, type PlantedAxes } from './planted-axes.js';
import { combine, randomUnit, type Sparse } from './residual-space.js';
import { writeSafetensors } from './write-safetensors.js';

interface Latent {
  readonly encoder: Sparse;
  readonly decoder: Sparse;
  readonly threshold: number;
}

export interface PlantedSaes {
  /** By name of a planted feature. */
  readonly places: ReadonlyMap<string, FeatureId>;
  /** Decoys with a decoder row near the direction. */
  readonly near: readonly FeatureId[];
}

/** Activation from which a feature counts as on: halfway. */
const THRESHOLD = AMPLITUDE / 2;
/** Of a decoy that reads nuisance space: about one token in six switches it on. */
const FAR_THRESHOLD = NUISANCE_AMPLITUDE / 8;
const NEVER = 100;
/** Of a near decoy's decoder row: how much of it lies along what harmful prompts have in common. Real features have 0.6. */
const NEAR_SHARE = { least: 0.5, most: 0.9 } as const;

export function plantSaes(mechanism: Mechanism, axes: PlantedAxes, folder: string, random: SeededRandom): PlantedSaes {
  const places = new Map<string, FeatureId>();
  const near: FeatureId[] = [];
  for (let layer = 1; layer <= mechanism.layers - 2; layer++) {
    const own = random.fork(`sae ${layer}`);
    const features = mechanism.features.filter((feature) => feature.layer === layer);
    const latents = [
      ...features.map(({ name }) => realLatent(mechanism, axes, name, own)),
      ...Array.from({ length: mechanism.decoys.near }, (_, i) => nearDecoy(axes, i % 2 === 0, own)),
      ...Array.from({ length: mechanism.decoys.perLayer }, () => farDecoy(axes, own)),
    ];
    const order = own.shuffle(latents.map((_, i) => i));
    for (const [index, latent] of order.entries()) {
      const name = features[latent]?.name;
      if (name !== undefined) places.set(name, { layer, index });
      else if (latent < features.length + mechanism.decoys.near) near.push({ layer, index });
    }
    writeSae(
      join(folder, `layer-${layer}`),
      layer,
      axes,
      order.map((i) => latents[i]!),
    );
  }
  return { places, near };
}

function realLatent(mechanism: Mechanism, axes: PlantedAxes, name: string, random: SeededRandom): Latent {
  const { nuisance, dark, axis } = axes.space;
  const noise = noiseShare(mechanism);
  // Scaled so that what the encoder reads of a token's random part has the stated size on average.
  const read = (noise * AMPLITUDE * Math.sqrt(dark.length)) / NUISANCE_AMPLITUDE;
  return {
    encoder: combine([axes.encoder(name), 1], [randomUnit(dark, random), read]),
    decoder: combine([axes.decoder(name), 1], [randomUnit([...nuisance, axis(`own:${name}`)], random), noise]),
    threshold: THRESHOLD,
  };
}

function nearDecoy(axes: PlantedAxes, isActive: boolean, random: SeededRandom): Latent {
  const rest = randomUnit(axes.space.nuisance, random);
  const share = NEAR_SHARE.least + (NEAR_SHARE.most - NEAR_SHARE.least) * random.uniform();
  const toward = combine([axes.along('common'), Math.SQRT1_2], [axes.along('echo'), Math.SQRT1_2]);
  return {
    encoder: isActive ? combine([axes.along('echo'), 1]) : rest,
    decoder: combine([toward, share], [rest, Math.sqrt(1 - share ** 2)]),
    threshold: isActive ? ECHO_AMPLITUDE / 2 : NEVER,
  };
}

function farDecoy(axes: PlantedAxes, random: SeededRandom): Latent {
  const row = randomUnit(axes.space.nuisance, random);
  return { encoder: row, decoder: row, threshold: FAR_THRESHOLD };
}

function writeSae(folder: string, layer: number, { space }: PlantedAxes, latents: readonly Latent[]): void {
  mkdirSync(folder, { recursive: true });
  const count = latents.length;
  const encoder = new Float32Array(space.width * count);
  const decoder = new Float32Array(count * space.width);
  for (const [k, latent] of latents.entries()) {
    const column = space.rotate(latent.encoder);
    for (let i = 0; i < space.width; i++) encoder[i * count + k] = column[i]!;
    decoder.set(space.rotate(latent.decoder), k * space.width);
  }
  const config = {
    architecture: 'jumprelu',
    d_in: space.width,
    d_sae: count,
    dtype: 'float32',
    apply_b_dec_to_input: false,
    normalize_activations: 'none',
    reshape_activations: 'none',
    metadata: { model_name: 'planted', hook_name: `blocks.${layer}.hook_resid_post`, hook_layer: layer },
  };
  writeFileSync(join(folder, 'cfg.json'), `${JSON.stringify(config, undefined, 2)}\n`);
  writeSafetensors(join(folder, 'sae_weights.safetensors'), [
    { name: 'W_enc', shape: [space.width, count], data: encoder },
    { name: 'b_enc', shape: [count], data: new Float32Array(count) },
    { name: 'W_dec', shape: [count, space.width], data: decoder },
    { name: 'b_dec', shape: [space.width], data: new Float32Array(space.width) },
    { name: 'threshold', shape: [count], data: Float32Array.from(latents, ({ threshold }) => threshold) },
  ]);
}
