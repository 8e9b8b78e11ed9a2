/** Owns the controls beside the finding: how often chance does what the sets do. */
import type {
  ControlArmFacts,
  ControlArmName,
  ControlsFacts,
  Report,
} from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { changeText, countText } from '../../text/number-text.js';
import { shareBars } from '../charts/bar-chart.js';
import { CONTROL_NAMES, rateText } from '../count-text.js';
import { dataTable } from '../data-table.js';
import { figure, type Section } from '../page-parts.js';

interface Arm extends ControlArmFacts {
  readonly name: string;
  readonly tone: string;
}

const ARM_NAMES = Object.keys(CONTROL_NAMES) as ControlArmName[];

function armsOf(controls: ControlsFacts): Arm[] {
  const run = ARM_NAMES.flatMap((name): Arm[] => {
    const arm = controls[name];
    return arm ? [{ ...arm, name: CONTROL_NAMES[name], tone: 'third' }] : [];
  });
  return [{ ...controls.minimalSets, name: 'Minimal sets', tone: 'comply' }, ...run];
}

export function controlsSection({ controls, settings }: Report): Section {
  const arms = armsOf(controls);
  const missing = ARM_NAMES.filter((name) => controls[name] === null).map((name) => CONTROL_NAMES[name].toLowerCase());
  const body = markup`
<p>In place of each set: as many random features at the same layers; as many drawn from those active on the prompt, the stricter control; random directions with the norm of the set’s own edit; and, as a baseline, the selected direction ablated at every layer. A set flips its own prompt by construction: read it as the mark that chance should stay far from.</p>
<div class="side-by-side">${figure(barsOf(arms), markup`Share of draws that flip the prompt, with the 95 % interval; ${countText(settings.controlDraws)} draws a prompt.`, 'How often controls flip')}${armTable(arms)}</div>
${missing.length > 0 && markup`<p class="muted">Not run: ${missing.join('; ')}.</p>`}`;
  return { id: 'controls', title: 'Controls', body };
}

const barsOf = (arms: readonly Arm[]): Markup =>
  shareBars({
    title: 'How often controls flip',
    description: arms.map(({ name, flips }) => `${name}: ${rateText(flips)}`).join('; '),
    width: 344,
    xLabel: 'share of draws that flip the prompt',
    bars: arms.map(({ name, tone, flips }) => ({ label: name, tone, count: flips.count, total: flips.of })),
  });

const armTable = (arms: readonly Arm[]): Markup =>
  dataTable({
    caption: 'Sets and controls',
    sortable: false,
    rows: arms,
    columns: [
      { title: 'in place of the set', cell: ({ name }: Arm) => name },
      { title: 'flips', cell: ({ flips }) => rateText(flips), value: ({ flips }) => flips.count },
      {
        title: 'mean score change (nats)',
        cell: (row) => changeText(row.meanScoreChange),
        value: (row) => row.meanScoreChange,
      },
      {
        title: 'changed nothing',
        cell: ({ didNotAct, flips }) => rateText({ count: didNotAct, of: flips.of }),
        value: (row) => row.didNotAct,
      },
    ],
  });
