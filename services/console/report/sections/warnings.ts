/** Owns what a reader must know before quoting a number. */
import type { Report } from '../../../coordinator/report/report-type.js';
import { markup } from '../../text/markup.js';
import type { Section } from '../page-parts.js';

export function warningsSection({ warnings }: Report): Section {
  const body =
    warnings.length === 0
      ? markup`<p>None.</p>`
      : markup`<ul class="warnings">${warnings.map(({ code, text }) => markup`<li>${text} <code class="muted">${code}</code></li>`)}</ul>`;
  return { id: 'warnings', title: `Warnings (${warnings.length})`, body };
}
