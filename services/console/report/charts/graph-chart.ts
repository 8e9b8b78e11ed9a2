/** Owns the drawing of the interaction graph: width = size, colour and dash = sign, labels kept inside the frame. */
import { type Markup, markup } from '../../text/markup.js';
import { type ChartText, chartFrame, emptyChart, px } from './chart-frame.js';
import { forceLayout, type Point } from './force-layout.js';
import { type LabelBox, placeLabels } from './place-labels.js';

export interface GraphNode {
  readonly name: string;
  readonly tip: string;
  /** CSS class that gives the colour. */
  readonly tone: string;
  /** Radius weight in [0, 1]. */
  readonly weight: number;
}

export interface GraphEdge {
  readonly from: number;
  readonly to: number;
  /** Signed; width follows its size, colour and dash its sign. */
  readonly effect: number;
  readonly tip: string;
}

export interface GraphSpec extends ChartText {
  readonly width: number;
  readonly height: number;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly GraphEdge[];
}

const PADDING = { x: 46, y: 30 };
const WIDEST = 6;
const THINNEST = 1;
/** Width of a character of the label's type, pixels. */
const CHARACTER = 6.6;

export function graphChart(spec: GraphSpec): Markup {
  const edges = spec.edges.filter(({ effect }) => Number.isFinite(effect));
  if (spec.nodes.length === 0) return emptyChart(`${spec.title}: there is no interaction to draw.`);
  const most = Math.max(1e-12, ...edges.map(({ effect }) => Math.abs(effect)));
  const layout = forceLayout(
    spec.nodes.length,
    edges.map(({ from, to, effect }) => ({ from, to, pull: 0.4 + (0.8 * Math.abs(effect)) / most })),
  );
  const places = layout.map((point) => placed(point, spec));
  const labels = placeLabels(
    spec.nodes.map((node, index) => ({
      centre: places[index]!,
      radius: radiusOf(node),
      width: node.name.length * CHARACTER,
    })),
    edges.map(({ from, to }) => [places[from]!, places[to]!] as const),
    spec,
  );
  return chartFrame(spec, spec, [
    edges.map((edge) => edgeLine(edge, places, most)),
    spec.nodes.map((node, index) => nodeMark(node, places[index]!)),
    spec.nodes.map((node, index) => nodeLabel(node, labels[index]!)),
  ]);
}

const radiusOf = ({ weight }: GraphNode): number => 5 + 6 * Math.min(1, Math.max(0, weight));

const placed = ({ x, y }: Point, { width, height }: { width: number; height: number }): Point => ({
  x: PADDING.x + x * (width - 2 * PADDING.x),
  y: PADDING.y + y * (height - 2 * PADDING.y),
});

function edgeLine(edge: GraphEdge, places: readonly Point[], most: number): Markup {
  const from = places[edge.from]!;
  const to = places[edge.to]!;
  const wide = THINNEST + (WIDEST - THINNEST) * (Math.abs(edge.effect) / most);
  const tone = edge.effect < 0 ? 'comply' : 'refuse dashed';
  return markup`<line class="edge ${tone}" stroke-width="${px(wide)}" x1="${px(from.x)}" y1="${px(from.y)}" x2="${px(to.x)}" y2="${px(to.y)}"><title>${edge.tip}</title></line>`;
}

const nodeMark = (node: GraphNode, { x, y }: Point): Markup =>
  markup`<circle class="node ${node.tone}" cx="${px(x)}" cy="${px(y)}" r="${px(radiusOf(node))}"><title>${node.tip}</title></circle>`;

const nodeLabel = (node: GraphNode, box: LabelBox): Markup =>
  markup`<text class="node-label id" text-anchor="middle" x="${px(box.x + box.width / 2)}" y="${px(box.y + box.height - 3)}">${node.name}</text>`;
