import { describe, expect, it } from 'vitest';
import { Passage } from '../../../services/inference/engine/passage.js';
import type { PendingEvaluation } from '../../../services/inference/engine/pending-evaluation.js';
import type { StateNode } from '../../../services/inference/engine/state-node.js';

/** A bank that edits layers 4, 8 and 12; an evaluation that waits has its next edit on `next`. */
const waiting = (next: number | undefined): PendingEvaluation => {
  const groups = [4, 8, 12].map((layer) => ({ layer, key: `${layer}` }));
  const nextGroup = () => groups.find(({ layer }) => layer === next);
  return { call: { bank: { groups } }, nextGroup } as unknown as PendingEvaluation;
};
const passageAt = (layer: number, isRoot: boolean, ...nexts: (number | undefined)[]): Passage => {
  const passage = new Passage({ isRoot, changes: new Map() } as unknown as StateNode, layer, new Float32Array(0));
  passage.waiting.push(...nexts.map(waiting));
  return passage;
};

describe('the next stop of a passage', () => {
  it('is where a bank edits, for whoever comes from there later', () => {
    expect(passageAt(2, false, 12).nextStop(false)).toBe(4);
    expect(passageAt(12, false, undefined).nextStop(false)).toBe(Number.POSITIVE_INFINITY);
  });

  it('where memory is short, is only where one that waits must ask', () => {
    expect(passageAt(2, false, 12).nextStop(true)).toBe(12);
    expect(passageAt(2, false, 12, 8).nextStop(true)).toBe(8);
    expect(passageAt(2, false, undefined).nextStop(true)).toBe(Number.POSITIVE_INFINITY);
  });

  it('of a clean prompt is never left out: later states need its changes', () => {
    expect(passageAt(2, true, 12).nextStop(true)).toBe(4);
  });
});
