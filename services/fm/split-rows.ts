/**
 * Which rows train, which choose (early stopping, regularisation) and which are held out. Rows of one group (one prompt, say)
 * stay together: otherwise a model could recognise a prompt that it saw in training and look better than it is.
 */
import { fault } from '../../shared/errors/fault.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';

/** Row numbers, disjoint, together all rows; each part in ascending order. */
export interface RowSplit {
  readonly train: Int32Array;
  readonly validation: Int32Array;
  readonly test: Int32Array;
}

export interface SplitOptions {
  /** 0..2^53-1. */
  readonly seed: number;
  /** Share of the rows (of the groups, where given) that choose; 0 < share < 1. Default 0.15. */
  readonly validationShare?: number;
  /** Share that is held out; default 0.15. */
  readonly testShare?: number;
  /** One group name a row, to be kept together. */
  readonly groups?: readonly (string | number)[];
}

/** The least number of rows worth a split: below it the held-out part is a handful and its R2 says nothing. */
export const MIN_ROWS = 16;

/** Throws REQUEST_INVALID for too few rows or groups, or shares that leave a part empty. */
export function splitRows(rows: number, options: SplitOptions): RowSplit {
  const { seed, validationShare = 0.15, testShare = 0.15, groups } = options;
  if (!(validationShare > 0 && testShare > 0 && validationShare + testShare < 1))
    throw fault('REQUEST_INVALID', `shares ${validationShare} and ${testShare} must be above 0 and sum to less than 1`);
  if (rows < MIN_ROWS)
    throw fault('REQUEST_INVALID', `${rows} rows are too few for a fit with held-out rows; give at least ${MIN_ROWS}`);
  if (groups && groups.length !== rows)
    throw fault('SHAPE_MISMATCH', `there are ${groups.length} group names for ${rows} rows; each row needs one`);
  const members = groups ? collectGroups(groups) : Array.from({ length: rows }, (_, row) => [row]);
  if (members.length < 3)
    throw fault(
      'REQUEST_INVALID',
      `${members.length} groups cannot be split in three; give at least 3 or leave groups out`,
    );
  const order = createSeededRandom(seed).shuffle([...members.keys()]);
  const test = Math.max(1, Math.round(members.length * testShare));
  const validation = Math.max(1, Math.round(members.length * validationShare));
  if (test + validation >= members.length)
    throw fault('REQUEST_INVALID', `${members.length} groups leave none to train on; make the shares smaller`);
  const part = (from: number, to: number) =>
    Int32Array.from(order.slice(from, to).flatMap((group) => members[group]!)).sort();
  return {
    test: part(0, test),
    validation: part(test, test + validation),
    train: part(test + validation, members.length),
  };
}

function collectGroups(groups: readonly (string | number)[]): number[][] {
  const rowsOf = new Map<string | number, number[]>();
  groups.forEach((group, row) => {
    const rows = rowsOf.get(group);
    if (rows) rows.push(row);
    else rowsOf.set(group, [row]);
  });
  return [...rowsOf.values()];
}
