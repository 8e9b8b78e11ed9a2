/**
 * Owns node positions of a graph: Fruchterman & Reingold 1991, with a fixed start on a circle and a fixed cooling, and no
 * chance in it. Prevents a report that looks different each time it is rendered.
 */

export interface LayoutEdge {
  /** Indices into the nodes. */
  readonly from: number;
  readonly to: number;
  /** Pull, above 0; 1 is ordinary. */
  readonly pull: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

const STEPS = 400;
const START_HEAT = 0.12;
// Keeps the components of a graph that hangs together loosely from drifting apart for ever.
const GRAVITY = 0.6;

/** Positions in [0, 1] x [0, 1], one a node, in order. */
export function forceLayout(nodes: number, edges: readonly LayoutEdge[]): Point[] {
  if (nodes === 0) return [];
  if (nodes === 1) return [{ x: 0.5, y: 0.5 }];
  const x = Array.from({ length: nodes }, (_, index) => 0.5 + 0.4 * Math.cos((2 * Math.PI * index) / nodes));
  const y = Array.from({ length: nodes }, (_, index) => 0.5 + 0.4 * Math.sin((2 * Math.PI * index) / nodes));
  const ideal = 0.95 / Math.sqrt(nodes);
  for (let step = 0; step < STEPS; step++) moveAll(x, y, edges, ideal, START_HEAT * (1 - step / STEPS));
  return fitted(x, y);
}

function moveAll(x: number[], y: number[], edges: readonly LayoutEdge[], ideal: number, heat: number): void {
  const moveX = x.map((value) => (0.5 - value) * GRAVITY * ideal);
  const moveY = y.map((value) => (0.5 - value) * GRAVITY * ideal);
  const push = (a: number, b: number, force: (distance: number) => number): void => {
    const dx = x[a]! - x[b]!;
    const dy = y[a]! - y[b]!;
    const distance = Math.max(1e-4, Math.hypot(dx, dy));
    const strength = force(distance) / distance;
    moveX[a]! += dx * strength;
    moveY[a]! += dy * strength;
    moveX[b]! -= dx * strength;
    moveY[b]! -= dy * strength;
  };
  for (let a = 0; a < x.length; a++)
    for (let b = a + 1; b < x.length; b++) push(a, b, (distance) => (ideal * ideal) / distance);
  for (const { from, to, pull } of edges)
    if (from !== to) push(from, to, (distance) => (-pull * distance * distance) / ideal);
  for (let index = 0; index < x.length; index++) {
    const length = Math.hypot(moveX[index]!, moveY[index]!);
    const limited = length > heat ? heat / length : 1;
    x[index]! += moveX[index]! * limited;
    y[index]! += moveY[index]! * limited;
  }
}

/** Stretched to the unit square, each axis by itself: the box is used whatever the shape. */
function fitted(x: readonly number[], y: readonly number[]): Point[] {
  const along = (values: readonly number[]): ((value: number) => number) => {
    const low = Math.min(...values);
    const span = Math.max(...values) - low;
    return (value) => (span > 1e-9 ? (value - low) / span : 0.5);
  };
  const unitX = along(x);
  const unitY = along(y);
  return x.map((value, index) => ({ x: unitX(value), y: unitY(y[index]!) }));
}
