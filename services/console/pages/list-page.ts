/** Owns the list of audits, newest first. */
import type { AuditPage, AuditSummary } from '../audit-reader.js';
import { type Markup, markup } from '../text/markup.js';
import { countText } from '../text/number-text.js';
import { pageFrame } from './page-frame.js';
import { stateBadge, timeText } from './state-badge.js';

export function listPage(page: AuditPage, later: boolean): string {
  const older =
    page.nextPageToken && markup`<a href="/?page=${encodeURIComponent(page.nextPageToken)}">Older audits</a>`;
  const newest = later && markup`<a href="/">Newest audits</a>`;
  return pageFrame(
    'Audits',
    markup`<h1>Audits</h1>${page.audits.length === 0 ? NONE : auditTable(page.audits)}<nav class="pager">${newest} ${older}</nav>`,
  );
}

const NONE = markup`<p class="nothing">No audit has been run yet. Start one with <code>refusalscope audit</code>.</p>`;

const auditTable = (audits: readonly AuditSummary[]): Markup =>
  markup`<div class="scroll table-frame" tabindex="0" role="region" aria-label="Audits"><table><caption>Newest first</caption><thead><tr><th scope="col">Audit</th><th scope="col">State</th><th scope="col">Stage</th><th scope="col">Started</th><th scope="col" class="number">Evaluations</th><th scope="col">Report</th></tr></thead><tbody>${audits.map(auditRow)}</tbody></table></div>`;

const auditRow = (audit: AuditSummary): Markup =>
  markup`<tr><th scope="row"><a href="/audits/${encodeURIComponent(audit.id)}">${audit.title || audit.id}</a>${audit.title && markup`<br><span class="id muted">${audit.id}</span>`}</th><td>${stateBadge(audit.state)}</td><td>${audit.stage}</td><td>${timeText(audit.createdAt)}</td><td class="number">${countText(audit.evaluations)}</td><td>${audit.state === 'succeeded' && markup`<a href="/audits/${encodeURIComponent(audit.id)}/report">report</a>`}</td></tr>`;
