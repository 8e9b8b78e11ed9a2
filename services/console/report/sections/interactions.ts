/** Owns how features act together: what the chosen model predicts beside what 2x2 ablations measure, and each model's fit beside the others'. */
import type {
  ConfirmedPair,
  FitFacts,
  FitModelName,
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
<div class="side-by-side">${figure(graphOf(interactions), graphCaption(interactions), 'Interaction graph')}${figure(scatterOf(interactions.confirmed), 'The chosen model’s prediction against the exact 2×2 ablation, in nats. On the dotted line the two agree.', 'Predicted against measured interactions')}</div>
${pairTable(interactions.confirmed)}
<h3>Which model the pairs come from</h3>
<p>${choiceText(interactions.masks)} All models of a row group saw the same rows, the validation rows choose, and the held-out rows judge.</p>
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
  `${confirmed.length > 0 ? 'Interactions measured by 2×2 ablations' : 'Interactions predicted by the chosen model, none measured'}. Solid blue: below 0; dashed vermilion: above 0; width: size. Node size: main effect on the refusal score. Nearness has no meaning of its own.`;

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

const MODEL_NAMES: Readonly<Record<FitModelName, string>> = {
  linear: 'linear model',
  factorizationMachine: 'factorization machine',
  allPairs: 'lasso on all pairs',
  boostedTrees: 'boosted trees read as pairs',
};

/** Which model won on the masks, with its numbers, and whose pairs these are. */
export function choiceText(fit: FitFacts | null): string {
  if (!fit) return 'No model could be fitted to the masks.';
  const numbersOf = (name: FitModelName): string => {
    const { r2, validationLoss } = fit[name] ?? {};
    return `${MODEL_NAMES[name]} (validation loss ${numberText(validationLoss, 3)}, held-out R² ${numberText(r2, 3)})`;
  };
  if (fit.chosen === fit.pairsFrom) return `On the masks the ${numbersOf(fit.chosen)} won; these pairs are its.`;
  return `On the masks the ${numbersOf(fit.chosen)} won: they do not show that any features act together. These pairs are those of the best model that has pairs, the ${numbersOf(fit.pairsFrom)}.`;
}

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
    ...row(`${MODEL_NAMES.factorizationMachine}, rank ${fit.rank}`, fit.factorizationMachine),
    ...row(MODEL_NAMES.linear, fit.linear),
    ...row(MODEL_NAMES.allPairs, fit.allPairs),
    ...row(MODEL_NAMES.boostedTrees, fit.boostedTrees),
  ];
}

function fitTable({ masks, activations }: Interactions): Markup {
  const metric = (title: string, key: keyof MetricFacts) => ({
    title,
    cell: (row: FitRow) => numberText(row.metrics[key], 3),
    value: (row: FitRow) => row.metrics[key],
  });
  return dataTable({
    caption: 'Fit on the held-out rows, but for the validation loss; a dash: the loss has no such metric',
    sortable: false,
    rows: [...fitRows(masks, 'masks → score (causal)'), ...fitRows(activations, 'activations → label (the paper’s)')],
    columns: [
      { title: 'fitted on', cell: ({ fit }: FitRow) => fit },
      { title: 'model', cell: ({ model }) => model },
      metric('validation loss', 'validationLoss'),
      metric('R²', 'r2'),
      metric('RMSE (nats)', 'rmse'),
      metric('sign agreement', 'signAgreement'),
      metric('accuracy', 'accuracy'),
      metric('log-loss (nats)', 'logLoss'),
      { title: 'rows: fit / validation / test', cell: ({ rows }) => rows },
    ],
  });
}
