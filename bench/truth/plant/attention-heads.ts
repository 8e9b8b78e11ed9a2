/**
 * The attention of a planted model. Head 0 carries the trigger from its token to every later position (block 0), head 1 carries features
 * from BOS (the block after theirs), heads 2 and 3 are random and work in nuisance space; at a stated signal-to-noise ratio they also
 * spill into the mechanism. Queries and keys use the slowest pair of RoPE alone, which turns by less than 1e-6 over a prompt.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import type { Mechanism } from '../mechanism.js';
import {
  AMPLITUDE,
  BALLAST,
  ECHO_AMPLITUDE,
  NUISANCE_AMPLITUDE,
  noiseShare,
  type PlantedAxes,
  relayed,
  TRIGGER_AMPLITUDE,
} from './planted-axes.js';
import { combine, randomUnit, type Sparse } from './residual-space.js';

export const HEADS = 4;
export const HEAD_DIM = 16;
const NOISY_HEADS = [2, 3];
/** First of the slowest pair: dimensions 7 and 15 turn together. */
const SLOW = HEAD_DIM / 2 - 1;
/** Softmax scores of what a head looks for, and of BOS where it rests otherwise: e^15 apart. */
const SOUGHT = 30;
const REST = 15;

/** Rows by dimension of the head; absent ones are zero. */
export interface AttentionHead {
  readonly query: ReadonlyMap<number, Sparse>;
  readonly key: ReadonlyMap<number, Sparse>;
  readonly value: ReadonlyMap<number, Sparse>;
  /** What each dimension of the value writes. */
  readonly output: ReadonlyMap<number, Sparse>;
}

const SILENT: AttentionHead = { query: new Map(), key: new Map(), value: new Map(), output: new Map() };

export function attentionHeads(
  mechanism: Mechanism,
  axes: PlantedAxes,
  layer: number,
  random: SeededRandom,
): AttentionHead[] {
  const noisy = NOISY_HEADS.map((head) => randomHead(mechanism, axes, random.fork(`head ${head}`)));
  return [layer === 0 ? triggerHead(mechanism, axes) : SILENT, bosHead(mechanism, axes, layer), ...noisy];
}

/** Scores are q k / sqrt(HEAD_DIM); q is 1 everywhere. */
function seek(axes: PlantedAxes, sought: readonly (readonly [axis: string, score: number])[]) {
  const perUnit = (Math.sqrt(HEAD_DIM) * axes.rms) / AMPLITUDE;
  return {
    query: new Map([[SLOW, combine([axes.along('ballast'), axes.rms / BALLAST])]]),
    key: new Map([[SLOW, combine(...sought.map(([axis, score]) => [axes.along(axis), score * perUnit] as const))]]),
  };
}

function triggerHead({ categories }: Mechanism, axes: PlantedAxes): AttentionHead {
  const sought = categories.map((category) => [`trigger:${category}`, SOUGHT] as const);
  const read = axes.rms / AMPLITUDE;
  return {
    ...seek(axes, [...sought, ['bos', REST]]),
    value: new Map(categories.map((category, j) => [j, combine([axes.along(`trigger:${category}`), read])])),
    output: new Map(
      categories.map((category, j) => [
        j,
        combine([axes.along(`harm:${category}`), TRIGGER_AMPLITUDE], [axes.along('echo'), ECHO_AMPLITUDE]),
      ]),
    ),
  };
}

function bosHead(mechanism: Mechanism, axes: PlantedAxes, layer: number): AttentionHead {
  const carried = relayed(mechanism).filter(
    (name) => mechanism.features.find((feature) => feature.name === name)?.layer === layer - 1,
  );
  if (carried.length === 0) return SILENT;
  return {
    ...seek(axes, [['bos', SOUGHT]]),
    value: new Map(carried.map((name, j) => [j, combine([axes.encoder(name), axes.rms])])),
    output: new Map(carried.map((name, j) => [j, axes.along(`bos:${name}`)])),
  };
}

/** Words of a prompt over which a nearly even attention averages, about. */
const AVERAGED = 10;

function randomHead(mechanism: Mechanism, axes: PlantedAxes, random: SeededRandom): AttentionHead {
  const { nuisance, dark, axis } = axes.space;
  const dims = Array.from({ length: HEAD_DIM }, (_, j) => j);
  const rows = (read: readonly number[], scale: number) =>
    new Map(dims.map((j) => [j, combine([randomUnit(read, random), scale * axes.rms])]));
  // Standard deviation of one dimension of the averaged value.
  const spread = NUISANCE_AMPLITUDE / Math.sqrt(dark.length * AVERAGED);
  const perBlock = (AMPLITUDE * noiseShare(mechanism)) / Math.sqrt(NOISY_HEADS.length * mechanism.layers);
  const spilled = mechanism.features.map(({ name }) => axis(`own:${name}`));
  const spill = () =>
    new Map(spilled.map((own) => [own, (perBlock * random.normal()) / (spread * Math.sqrt(HEAD_DIM))]));
  return {
    query: rows(nuisance, 0.3),
    key: rows(nuisance, 0.3),
    value: rows(dark, 1),
    output: new Map(dims.map((j) => [j, combine([randomUnit(nuisance, random), 0.3], [spill(), 1])])),
  };
}
