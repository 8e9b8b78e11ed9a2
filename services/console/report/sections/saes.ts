/** Owns the admission test of each SAE: whether the microscope itself can be trusted. */
import type { Report, SaeFacts } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, numberText, percentText } from '../../text/number-text.js';
import { dataTable } from '../data-table.js';
import type { Section } from '../page-parts.js';

const verdictCell = ({ admission }: SaeFacts): Markup =>
  admission.verdict === 'verified'
    ? markup`verified`
    : markup`<span class="refuse-text">${admission.verdict}</span> ${admission.reason}`;

export function saesSection({ saes }: Report): Section {
  const notes = saes.filter(({ editsExact }) => !editsExact);
  const body = markup`${dataTable({
    caption: 'SAE admission, measured on residuals of recorded prompts (first position left out)',
    rows: saes,
    columns: [
      { title: 'layer', cell: ({ layer }: SaeFacts) => String(layer), value: ({ layer }) => layer },
      { title: 'features', cell: ({ dSae }) => countText(dSae), value: ({ dSae }) => dSae },
      { title: 'architecture', cell: ({ architecture, format }) => `${architecture} (${format})` },
      { title: 'searched', cell: ({ searched }) => (searched ? 'yes' : 'no') },
      { title: 'verdict', cell: verdictCell },
      { title: 'FVU', cell: ({ admission }) => numberText(admission.fvu, 3), value: ({ admission }) => admission.fvu },
      { title: 'L0', cell: ({ admission }) => numberText(admission.l0, 1), value: ({ admission }) => admission.l0 },
      {
        title: 'published L0',
        cell: ({ admission }) => numberText(admission.publishedL0, 1),
        value: ({ admission }) => admission.publishedL0,
      },
      {
        title: 'dead',
        cell: ({ admission }) => percentText(admission.deadShare),
        value: ({ admission }) => admission.deadShare,
      },
      { title: 'rows', cell: ({ admission }) => countText(admission.rows), value: ({ admission }) => admission.rows },
      { title: 'edits', cell: ({ editsExact }) => (editsExact ? 'exact' : 'approximate') },
    ],
  })}
${notes.map(({ layer, editsNote }) => markup`<p class="notice">Layer ${layer}: ${editsNote}</p>`)}`;
  return { id: 'saes', title: 'SAE admission', body };
}
