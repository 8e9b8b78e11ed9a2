/** Owns how features act together: what the factorization machine predicts beside what 2x2 ablations measure, and its fit beside a linear model's. */
import type {
  ConfirmedPair,
  FitFacts,
  Interactions,
  MetricFacts,
  Report,
} from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText, numberText } from '../../text/number-text.js';
import { graphChart } from '../charts/graph-chart.js';
import { scatterChart } from '../charts/scatter-chart.js';
import { dataTable } from '../data-table.js';
import { featureName, figure, type Section } from '../page-parts.js';

/** Without measured pairs the strongest predicted ones are drawn, and said to be predictions. */
const MAX_PREDICTED = 24;

export function interactionsSection({ interactions }: Report): Section {
  const body = markup`
<p>An interaction is what switching off two features does beyond the sum of each. <span class="comply-text">Below 0</span>: together they lower the score by more than the sum; they stand in for one another. <span class="refuse-text">Above 0</span>: by less; they do the same work one after the other.</p>
<div class="side-by-side">${figure(graphOf(interactions), graphCaption(interactions), 'Interaction graph')}${figure(scatterOf(interactions.confirmed), 'The factorization machine’s prediction against the exact 2×2 ablation, in nats. On the dotted line the two agree.', 'Predicted against measured interactions')}</div>
${pairTable(interactions.confirmed)}
<h3>Factorization machine against a linear model</h3>
<p>All models of a row group saw the same rows and are scored on the same held-out ones.</p>
${fitTable(interactions)}`;
  return { id: 'interactions', title: 'Interactions', body };
}

interface DrawnPair {
  readonly first: string;
  readonly second: string;
  readonly effect: number;
  readonly tip: string;
}

function drawnPairs({ confirmed, masks }: Interactions): DrawnPair[] {
  if (confirmed.length > 0)
    return confirmed.map(({ first, second, measured, predicted, prompts }) => ({
      first,
      second,
      effect: measured,
      tip: `${first} and ${second}: measured ${changeText(measured)} nats (mean of ${prompts.length}), predicted ${changeText(predicted)}`,
    }));
  return (masks?.pairs ?? []).slice(0, MAX_PREDICTED).map(({ first, second, effect }) => ({
    first,
    second,
    effect,
    tip: `${first} and ${second}: predicted ${changeText(effect)} nats, not measured`,
  }));
}

function graphOf(interactions: Interactions): Markup {
  const pairs = drawnPairs(interactions);
  const names = [...new Set(pairs.flatMap(({ first, second }) => [first, second]))].sort();
  const indexOf = new Map(names.map((name, index) => [name, index]));
  const effects = interactions.masks?.mainEffects ?? [];
  const mainEffect = new Map(interactions.features.map((name, index) => [name, effects[index] ?? 0]));
  const most = Math.max(1e-12, ...names.map((name) => Math.abs(mainEffect.get(name) ?? 0)));
  return graphChart({
    title: 'Interaction graph',
    description: pairs.map(({ tip }) => tip).join('; '),
    width: 520,
    height: 400,
    nodes: names.map((name) => ({
      name,
      tone: 'third',
      weight: Math.abs(mainEffect.get(name) ?? 0) / most,
      tip: `${name}: main effect ${changeText(mainEffect.get(name))} nats`,
    })),
    edges: pairs.map(({ first, second, effect, tip }) => ({
      from: indexOf.get(first)!,
      to: indexOf.get(second)!,
      effect,
      tip,
    })),
  });
}

const graphCaption = ({ confirmed }: Interactions): string =>
  `${confirmed.length > 0 ? 'Interactions measured by 2×2 ablations' : 'Interactions predicted by the factorization machine, none measured'}. Solid blue: below 0; dashed vermilion: above 0; width: size. Node size: main effect on the refusal score. Nearness has no meaning of its own.`;

const scatterOf = (confirmed: readonly ConfirmedPair[]): Markup =>
  scatterChart({
    title: 'Predicted against measured interactions',
    description: `${confirmed.length} pairs`,
    side: 320,
    xLabel: 'predicted (nats)',
    yLabel: 'measured (nats)',
    points: confirmed.map(({ first, second, predicted, measured }) => ({
      x: predicted,
      y: measured,
      tip: `${first} and ${second}: predicted ${changeText(predicted)}, measured ${changeText(measured)}`,
    })),
  });

const meanOf = (pair: ConfirmedPair, key: 'neither' | 'firstOff' | 'secondOff' | 'bothOff'): number =>
  pair.prompts.reduce((sum, prompt) => sum + prompt[key], 0) / pair.prompts.length;

const pairTable = (confirmed: readonly ConfirmedPair[]): Markup => {
  const mean = (title: string, key: 'neither' | 'firstOff' | 'secondOff' | 'bothOff') => ({
    title,
    cell: (row: ConfirmedPair) => numberText(meanOf(row, key)),
    value: (row: ConfirmedPair) => meanOf(row, key),
  });
  return dataTable({
    caption: 'Strongest pairs: predicted and measured (nats; means over the prompts)',
    rows: confirmed,
    columns: [
      { title: 'pair', cell: (row: ConfirmedPair) => featureName(`${row.first} × ${row.second}`) },
      { title: 'predicted', cell: (row) => changeText(row.predicted), value: (row) => row.predicted },
      { title: 'measured', cell: (row) => changeText(row.measured), value: (row) => row.measured },
      { title: 'prompts', cell: (row) => countText(row.prompts.length), value: (row) => row.prompts.length },
      mean('neither off', 'neither'),
      mean('first off', 'firstOff'),
      mean('second off', 'secondOff'),
      mean('both off', 'bothOff'),
    ],
  });
};

interface FitRow {
  readonly fit: string;
  readonly model: string;
  readonly rows: string;
  readonly metrics: MetricFacts;
}

function fitRows(fit: FitFacts | null, name: string): FitRow[] {
  if (!fit) return [];
  const rows = `${countText(fit.trainRows)} / ${countText(fit.validationRows)} / ${countText(fit.testRows)}`;
  const row = (model: string, metrics: MetricFacts | null): FitRow[] =>
    metrics ? [{ fit: name, model, rows, metrics }] : [];
  return [
    ...row(`factorization machine, rank ${fit.rank}`, fit.factorizationMachine),
    ...row('linear model', fit.linear),
    ...row('all pairs, ridge', fit.allPairs),
  ];
}

function fitTable({ masks, activations }: Interactions): Markup {
  const metric = (title: string, key: keyof MetricFacts) => ({
    title,
    cell: (row: FitRow) => numberText(row.metrics[key], 3),
    value: (row: FitRow) => row.metrics[key],
  });
  return dataTable({
    caption: 'Held-out fit; a dash: the loss has no such metric',
    sortable: false,
    rows: [...fitRows(masks, 'masks → score (causal)'), ...fitRows(activations, 'activations → label (the paper’s)')],
    columns: [
      { title: 'fitted on', cell: ({ fit }: FitRow) => fit },
      { title: 'model', cell: ({ model }) => model },
      metric('R²', 'r2'),
      metric('RMSE (nats)', 'rmse'),
      metric('sign agreement', 'signAgreement'),
      metric('accuracy', 'accuracy'),
      metric('log-loss (nats)', 'logLoss'),
      { title: 'rows: fit / validation / test', cell: ({ rows }) => rows },
    ],
  });
}
