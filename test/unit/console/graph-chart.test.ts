import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { forceLayout, type Point } from '../../../services/console/report/charts/force-layout.js';
import { graphChart } from '../../../services/console/report/charts/graph-chart.js';
import { placeLabels } from '../../../services/console/report/charts/place-labels.js';
import { hasBadNumber, marksOf, numberOf } from './chart-marks.js';

const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

describe('force layout', () => {
  it('is the same each time, inside the unit square, and has a place for one node and none', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 25 }),
        fc.array(fc.tuple(fc.nat(24), fc.nat(24)), { maxLength: 40 }),
        (nodes, pairs) => {
          const edges = pairs.filter(([a, b]) => a < nodes && b < nodes).map(([from, to]) => ({ from, to, pull: 1 }));
          const layout = forceLayout(nodes, edges);
          expect(layout).toHaveLength(nodes);
          expect(layout).toEqual(forceLayout(nodes, edges));
          for (const { x, y } of layout) expect(x >= 0 && x <= 1 && y >= 0 && y <= 1).toBe(true);
        },
      ),
      { numRuns: 25 },
    );
    expect(forceLayout(1, [])).toEqual([{ x: 0.5, y: 0.5 }]);
  });

  it('puts nodes of one group nearer than nodes of two', () => {
    const group = (first: number): { from: number; to: number; pull: number }[] =>
      [0, 1, 2, 3].flatMap((a) =>
        [0, 1, 2, 3].filter((b) => b > a).map((b) => ({ from: first + a, to: first + b, pull: 1 })),
      );
    const layout = forceLayout(8, [...group(0), ...group(4)]);
    const mean = (same: boolean): number => {
      const distances = layout.flatMap((a, i) =>
        layout.slice(i + 1).flatMap((b, j) => ((i < 4 === i + 1 + j < 4) === same ? [distance(a, b)] : [])),
      );
      return distances.reduce((sum, value) => sum + value, 0) / distances.length;
    };
    expect(mean(true)).toBeLessThan(mean(false) / 2);
  });
});

describe('label placement', () => {
  it('moves a name away from another node that stands above', () => {
    const below = { centre: { x: 100, y: 100 }, radius: 6, width: 40 };
    const above = { centre: { x: 100, y: 84 }, radius: 6, width: 40 };
    const [first] = placeLabels([below, above], [], { width: 200, height: 200 });
    expect(first!.y).toBeGreaterThan(100);
    const [alone] = placeLabels([below], [], { width: 200, height: 200 });
    expect(alone!.y).toBeLessThan(100);
  });

  it('keeps names inside the frame where it can', () => {
    const [box] = placeLabels([{ centre: { x: 4, y: 4 }, radius: 4, width: 30 }], [], { width: 100, height: 100 });
    expect(box!.x).toBe(11);
  });
});

describe('graph chart', () => {
  const node = (name: string): { name: string; tip: string; tone: string; weight: number } => ({
    name,
    tip: name,
    tone: 'third',
    weight: 0.5,
  });

  it('shows the sign by colour and dash and the size by width, and escapes names', () => {
    const svg = graphChart({
      title: 'T',
      description: 'D',
      width: 400,
      height: 300,
      nodes: [node('a'), node('<b>'), node('c')],
      edges: [
        { from: 0, to: 1, effect: -2, tip: 'n' },
        { from: 1, to: 2, effect: 1, tip: 'p' },
        { from: 0, to: 2, effect: Number.NaN, tip: 'x' },
      ],
    }).text;
    expect(numberOf(marksOf(svg, 'edge comply')[0], 'stroke-width')).toBe(6);
    expect(numberOf(marksOf(svg, 'edge refuse dashed')[0], 'stroke-width')).toBe(3.5);
    expect(marksOf(svg, 'edge')).toHaveLength(2);
    expect(svg).not.toContain('<b>');
    expect(hasBadNumber(svg)).toBe(false);
  });

  it('has a sentence for no node', () => {
    expect(graphChart({ title: 'T', description: '', width: 10, height: 10, nodes: [], edges: [] }).text).toContain(
      'there is no interaction to draw',
    );
  });
});
