/**
 * Gates as MLP units. A gate is open while a sum L of reads is at least its threshold; L includes a part of the ballast, so that its
 * sign is the same at any norm. Two SiLU units that are one step apart make it flat on either side:
 *
 *   silu(K (L + 0.55)) - silu(K (L + 0.45)) = 0.1 K once L >= 0, and 0 once L <= -1 (to 1e-13 for K = 80)
 *
 * Llama's second branch ("up") reads the ballast: a constant 1.
 */
import type { Gate, PlantedFeature } from '../mechanism.js';
import { AMPLITUDE, BALLAST, type PlantedAxes } from './planted-axes.js';
import { combine, type Sparse } from './residual-space.js';

/** One MLP unit: down * silu(gate . x) * (up . x), x being the normalised residual. */
export interface MlpUnit {
  readonly gate: Sparse;
  readonly up: Sparse;
  readonly down: Sparse;
}

const STEEPNESS = 80;
const STEP_FROM = 0.55;
const STEP_TO = 0.45;

export interface GateSpec {
  readonly gate: Gate;
  readonly place: PlantedFeature['at'] | 'assistant';
  /** What an open gate adds to the residual. */
  readonly writes: Sparse;
}

export function gateUnits(axes: PlantedAxes, { gate, place, writes }: GateSpec): MlpUnit[] {
  const reads = thresholdReads(axes, gate, place);
  const one = combine([axes.along('ballast'), 1 / BALLAST]);
  const unit = (shift: number, sign: number): MlpUnit => ({
    gate: combine([reads, STEEPNESS * axes.rms], [one, shift * STEEPNESS * axes.rms]),
    up: combine([one, axes.rms]),
    down: combine([writes, sign / (STEEPNESS * (STEP_FROM - STEP_TO))]),
  });
  return [unit(STEP_FROM, 1), unit(STEP_TO, -1)];
}

/** L: 0 or more while the gate is open, -1 or less while it is shut. */
function thresholdReads(axes: PlantedAxes, { atLeast, of, unless }: Gate, place: GateSpec['place']): Sparse {
  // The least that shuts a gate whose inputs are all on: what a gate reads stronger than it must, it reads with more noise.
  const veto = of.length - atLeast + 1;
  const one = combine([axes.along('ballast'), 1 / BALLAST]);
  const mark = place === 'anywhere' ? undefined : combine([axes.along(place), 1 / AMPLITUDE]);
  return combine(
    [one, -atLeast],
    ...of.map((text) => [axes.signal(text), 1] as const),
    ...unless.map((text) => [axes.signal(text), -veto] as const),
    ...(mark === undefined
      ? []
      : ([
          [mark, veto],
          [one, -veto],
        ] as const)),
  );
}
