/** Requests of the FM service as the domain wants them: every field checked, every default named. */
import {
  type DesignMasksRequest,
  FitMode,
  MaskDesign,
  type FitOptions as WireFitOptions,
  type FitRequest as WireFitRequest,
} from '../../proto/gen/refusalscope/v1/fm.js';
import { fault } from '../../shared/errors/fault.js';
import { decodeMatrix } from '../../shared/tensors/matrix.js';
import type { DesignMatrix } from './design-matrix.js';
import type { FitOptions } from './fit-options.js';
import type { FitRequest } from './fit-with-baseline.js';
import type { DesignOptions } from './mask-designs.js';

const DEFAULT_TOP_INTERACTIONS = 50;
const MAX_TOP_INTERACTIONS = 100_000;
const MAX_DESIGN_MASKS = 65_536;

/** Throws REQUEST_INVALID, SHAPE_MISMATCH, NOT_FINITE; what depends on the values is left to the fit. */
export function readFitRequest(wire: WireFitRequest): FitRequest {
  const { rows, cols, data } = decodeMatrix(wire.design, { name: 'design' });
  // Copied: a view would take the whole message along to the thread.
  const design: DesignMatrix = { rows, columns: cols, values: data.slice() };
  assertMode(wire.mode, design);
  if (wire.names.length !== 0 && wire.names.length !== cols)
    throw fault(
      'SHAPE_MISMATCH',
      `names holds ${wire.names.length} names for ${cols} features; give one each, or none.`,
    );
  const loss = wire.mode === FitMode.FIT_MODE_MASKS ? 'squared' : 'logistic';
  const options: Partial<WireFitOptions> = wire.options ?? {};
  return {
    design,
    target: wire.targets,
    loss,
    preset: loss === 'squared' ? 'causal' : 'paper',
    options: readOptions(options),
    split: {
      validationShare: readShare('validation_share', options.validationShare),
      testShare: readShare('test_share', options.testShare),
      ...(wire.groups.length > 0 && { groups: wire.groups }),
    },
    limit: readLimit(options.topInteractions),
  };
}

function assertMode(mode: FitMode, { values, columns }: DesignMatrix): void {
  if (mode !== FitMode.FIT_MODE_MASKS && mode !== FitMode.FIT_MODE_ACTIVATIONS)
    throw fault('REQUEST_INVALID', 'mode is missing; give FIT_MODE_MASKS or FIT_MODE_ACTIVATIONS.');
  const isMask = mode === FitMode.FIT_MODE_MASKS;
  const bad = values.findIndex((x) => (isMask ? x !== 0 && x !== 1 : x < 0));
  if (bad >= 0)
    throw fault(
      'REQUEST_INVALID',
      `feature ${bad % columns} of row ${Math.floor(bad / columns)} is ${values[bad]}; ${isMask ? 'a mask holds 0 or 1' : 'an activation is at least 0'}.`,
    );
}

/** 0 and absent stand for the preset's value; an absent penalty for one chosen on the validation rows. */
function readOptions(wire: Partial<WireFitOptions>): Partial<FitOptions> {
  return {
    l2Linear: wire.l2Linear ?? 'auto',
    l2Factors: wire.l2Pairwise ?? 'auto',
    seed: wire.seed ?? 0,
    ...(wire.rank && { rank: wire.rank }),
    ...(wire.epochs && { epochs: wire.epochs }),
    ...(wire.learningRate && { learningRate: wire.learningRate }),
  };
}

function readShare(name: string, share = 0): number {
  if (!(share >= 0 && share <= 0.5))
    throw fault('REQUEST_INVALID', `${name} is ${share}; it must be above 0 and at most 0.5, or 0 for 0.15.`);
  return share === 0 ? 0.15 : share;
}

function readLimit(limit = 0): number {
  if (limit > MAX_TOP_INTERACTIONS)
    throw fault('REQUEST_INVALID', `top_interactions is ${limit}; at most ${MAX_TOP_INTERACTIONS} are returned.`);
  return limit === 0 ? DEFAULT_TOP_INTERACTIONS : limit;
}

const DESIGNS = {
  [MaskDesign.MASK_DESIGN_UNIFORM]: 'uniform',
  [MaskDesign.MASK_DESIGN_STRATIFIED]: 'leverage',
} as const;

/** Throws REQUEST_INVALID. */
export function readDesignRequest({ features, count, design, seed }: DesignMasksRequest): DesignOptions {
  if (design !== MaskDesign.MASK_DESIGN_UNIFORM && design !== MaskDesign.MASK_DESIGN_STRATIFIED)
    throw fault('REQUEST_INVALID', 'design is missing; give MASK_DESIGN_UNIFORM or MASK_DESIGN_STRATIFIED.');
  if (count < 1 || count > MAX_DESIGN_MASKS)
    throw fault('REQUEST_INVALID', `count is ${count}; it must be 1 to ${MAX_DESIGN_MASKS} masks.`);
  return { kind: DESIGNS[design], columns: features, rows: count, seed };
}
