/**
 * Owns where the names of nodes stand: above, below, right or left of their node, wherever they cover least.
 * Greedy and in order, so that the same graph is always labelled the same way.
 */
import type { Point } from './force-layout.js';

export interface LabelBox {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface LabelRequest {
  readonly centre: Point;
  readonly radius: number;
  readonly width: number;
}

const HEIGHT = 12;
const GAP = 3;

/** The four boxes around a node, the preferred one first. */
const boxesAround = ({ centre: { x, y }, radius, width }: LabelRequest): LabelBox[] => {
  const beside = y - HEIGHT / 2;
  const box = (left: number, top: number): LabelBox => ({ x: left, y: top, width, height: HEIGHT });
  return [
    box(x - width / 2, y - radius - GAP - HEIGHT),
    box(x - width / 2, y + radius + GAP),
    box(x + radius + GAP, beside),
    box(x - radius - GAP - width, beside),
  ];
};

const overlap = (a: LabelBox, b: LabelBox): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

const boxOf = ({ centre, radius }: LabelRequest): LabelBox => ({
  x: centre.x - radius,
  y: centre.y - radius,
  width: 2 * radius,
  height: 2 * radius,
});

/** Points along the segment at most 8 pixels apart: enough to notice a label that it crosses. */
function crosses(box: LabelBox, [from, to]: readonly [Point, Point]): boolean {
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y) / 8));
  for (let step = 0; step <= steps; step++) {
    const x = from.x + ((to.x - from.x) * step) / steps;
    const y = from.y + ((to.y - from.y) * step) / steps;
    if (x > box.x && x < box.x + box.width && y > box.y && y < box.y + box.height) return true;
  }
  return false;
}

/** One box a request, in order, inside the frame where that is possible. All in pixels. */
export function placeLabels(
  requests: readonly LabelRequest[],
  lines: readonly (readonly [Point, Point])[],
  frame: { readonly width: number; readonly height: number },
): LabelBox[] {
  const nodes = requests.map(boxOf);
  const placed: LabelBox[] = [];
  const outside = ({ x, y, width, height }: LabelBox): number =>
    Math.max(0, -x, x + width - frame.width) + Math.max(0, -y, y + height - frame.height);
  // A name that is cut off or covered cannot be read at all; a crossed one can.
  const cost = (box: LabelBox): number =>
    10 * outside(box) +
    10 * placed.filter((other) => overlap(box, other)).length +
    6 * nodes.filter((node) => overlap(box, node)).length +
    lines.filter((line) => crosses(box, line)).length;
  for (const request of requests) {
    const boxes = boxesAround(request);
    const costs = boxes.map(cost);
    placed.push(boxes[costs.indexOf(Math.min(...costs))]!);
  }
  return placed;
}
