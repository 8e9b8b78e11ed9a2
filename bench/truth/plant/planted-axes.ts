/**
 * What the axes of a planted model mean, and how large things on them are. Everything that reads the residual does so through these
 * functions, so that the builder of the weights and the builder of the SAEs cannot disagree about a feature.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { type Mechanism, parseSignal } from '../mechanism.js';
import { createResidualSpace, type ResidualSpace, type Sparse } from './residual-space.js';
import { ANSWER_PIECES } from './vocabulary.js';

/**
 * A constant part of every embedding, far larger than all else: RMSNorm then divides by nearly the same number whatever the mechanism
 * does, and a gate can compare with it, so that thresholds hold exactly at any norm.
 */
export const BALLAST = 120;
/** Of a feature that is on, of a token's mark, and of the trigger once it is carried on. */
export const AMPLITUDE = 3;
export const TRIGGER_AMPLITUDE = 2;
/** On with every trigger, read by nothing. */
export const ECHO_AMPLITUDE = 1;
/** Length of a token's own random part in nuisance space, and on the dark axes. */
export const NUISANCE_AMPLITUDE = 2;
/** Share of a feature's decoder row, in cosine, along the axis that all features have in common: it keeps them near the direction. */
export const COMMON_SHARE = 0.6;

/**
 * Standard deviation of the noise, as a share of the amplitude. It has two sources of this size each: the residual, where it is
 * strongest (last position, last block), and what an SAE's encoder reads of a word's random part.
 */
export const noiseShare = ({ snr }: Mechanism): number => (snr === undefined ? 0 : 1 / snr);

export interface PlantedAxes {
  readonly space: ResidualSpace;
  /** A unit vector along a named axis. */
  along(name: string): Sparse;
  /** Decoder row of a feature, of unit length. */
  decoder(feature: string): Sparse;
  /** What reads a feature's activation: 1 on its own decoder row, 0 on every other one. */
  encoder(feature: string): Sparse;
  /** Reads a signal as 1 (on) or 0 (off). */
  signal(text: string): Sparse;
  /** The nominal root mean square of a residual. */
  readonly rms: number;
}

export const relayed = (mechanism: Mechanism): string[] => [
  ...new Set(
    [...mechanism.features.map(({ when }) => when), ...mechanism.refusal].flatMap(({ of, unless }) =>
      [...of, ...unless].flatMap((text) => {
        const { kind, name } = parseSignal(text);
        return kind === 'bos' ? [name] : [];
      }),
    ),
  ),
];

export function createPlantedAxes(mechanism: Mechanism, random: SeededRandom): PlantedAxes {
  const names = [
    ...['ballast', 'bos', 'template', 'assistant', 'common', 'echo', 'refuse'],
    ...mechanism.categories.flatMap((category) => [`trigger:${category}`, `harm:${category}`]),
    ...ANSWER_PIECES.map((piece) => `said:${piece}`),
    ...mechanism.features.map(({ name }) => `own:${name}`),
    ...relayed(mechanism).map((name) => `bos:${name}`),
  ];
  const space = createResidualSpace(names, random);
  const along = (name: string): Sparse => new Map([[space.axis(name), 1]]);
  const ownShare = Math.sqrt(1 - COMMON_SHARE ** 2);
  const scaled = (name: string, factor: number): Sparse => new Map([[space.axis(name), factor]]);
  const encoder = (feature: string) => scaled(`own:${feature}`, 1 / ownShare);
  return {
    space,
    along,
    decoder: (feature) =>
      new Map([
        [space.axis('common'), COMMON_SHARE],
        [space.axis(`own:${feature}`), ownShare],
      ]),
    encoder,
    signal: (text) => {
      const { kind, name } = parseSignal(text);
      if (kind === 'harm') return scaled(text, 1 / TRIGGER_AMPLITUDE);
      return kind === 'bos' ? scaled(text, 1 / AMPLITUDE) : scaled(`own:${name}`, 1 / (ownShare * AMPLITUDE));
    },
    rms: Math.sqrt((BALLAST ** 2 + 2 * NUISANCE_AMPLITUDE ** 2 + 4 * AMPLITUDE ** 2) / space.width),
  };
}
