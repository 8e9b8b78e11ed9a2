/**
 * The edit primitive of design.md on rows of one sequence, split in two so that equal outcomes are seen before they are computed:
 * `findChanges` says which edits would move which positions by how much, `applyChanges` writes the moves of those that are on.
 * Both are exact: an edit that moves nothing leaves the residual bit for bit as it was.
 */
import type { LayerGroup } from './edit-bank.js';
import { resolveSpan, type SequenceLandmarks } from './position-span.js';

/** What one edit would do: (c - a) at the positions where that is not zero. */
export interface Change {
  /** Index of the edit in its group. */
  readonly edit: number;
  /** Positions in the sequence, ascending. */
  readonly positions: readonly number[];
  /** c - a at each. */
  readonly moves: readonly number[];
}

/** What the edits on one layer did to one sequence. */
export interface LayerProof {
  readonly layer: number;
  readonly deltaNorm: number;
  readonly activeEdits: number;
  readonly activePairs: number;
  readonly residualNorm: number;
}

/**
 * Changes by edit for rows at positions start, start + 1, ... of one sequence.
 * `z` [count, K] holds x R + b of these rows, row-major.
 */
export function findChanges(
  group: LayerGroup,
  z: Float32Array,
  start: number,
  landmarks: SequenceLandmarks,
): readonly Change[] {
  const { count: k, threshold, target } = group;
  const rows = z.length / k;
  const changes: Change[] = [];
  for (let edit = 0; edit < k; edit++) {
    const span = resolveSpan(group.positions[edit], landmarks);
    const positions: number[] = [];
    const moves: number[] = [];
    const from = Math.max(0, span.first - start);
    const to = Math.min(rows, span.end - start);
    for (let row = from; row < to; row++) {
      const read = z[row * k + edit];
      const move = Math.fround(target[edit] - (read > threshold[edit] ? read : 0));
      if (move === 0) continue;
      positions.push(start + row);
      moves.push(move);
    }
    if (positions.length > 0) changes.push({ edit, positions, moves });
  }
  return changes;
}

/** Adds every change to `rows` [count, d] (positions from `start` on), in place, and says what that did. */
export function applyChanges(
  group: LayerGroup,
  changes: readonly Change[],
  rows: Float32Array,
  start: number,
  dModel: number,
): LayerProof {
  const deltas = new Map<number, Float32Array>();
  let pairs = 0;
  for (const { edit, positions, moves } of changes) {
    const write = group.write.subarray(edit * dModel, (edit + 1) * dModel);
    pairs += positions.length;
    positions.forEach((position, i) => {
      let delta = deltas.get(position);
      if (delta === undefined) {
        delta = new Float32Array(dModel);
        deltas.set(position, delta);
      }
      const move = moves[i];
      for (let j = 0; j < dModel; j++) delta[j] += move * write[j];
    });
  }
  let deltaSquares = 0;
  let residualSquares = 0;
  for (const [position, delta] of deltas) {
    const at = (position - start) * dModel;
    for (let j = 0; j < dModel; j++) {
      residualSquares += rows[at + j] * rows[at + j];
      deltaSquares += delta[j] * delta[j];
      rows[at + j] += delta[j];
    }
  }
  return {
    layer: group.layer,
    deltaNorm: Math.sqrt(deltaSquares),
    activeEdits: changes.length,
    activePairs: pairs,
    residualNorm: Math.sqrt(residualSquares),
  };
}
