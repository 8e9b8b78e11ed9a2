/** Owns the view of one audit: its summary as of now, and the places that the script fills from the event stream. */
import type { AuditSummary } from '../audit-reader.js';
import { type Markup, markup } from '../text/markup.js';
import { countText } from '../text/number-text.js';
import { pageFrame } from './page-frame.js';
import { stateBadge, timeText } from './state-badge.js';

export function auditPage(audit: AuditSummary): string {
  const path = `/audits/${encodeURIComponent(audit.id)}`;
  const links = markup`<a href="${path}/report">Open the report</a> · <a href="${path}/report.json">report.json</a>`;
  return pageFrame(
    audit.title || audit.id,
    markup`<h1>${audit.title || 'Audit'}</h1>
<p class="id muted">${audit.id}</p>
<section data-audit-events="${path}/events">
<dl class="facts">
<div><dt>State</dt><dd>${stateBadge(audit.state)}</dd></div>
<div><dt>Stage</dt><dd data-live="stage">${audit.stage || '–'}</dd></div>
<div><dt>Evaluations</dt><dd data-live="evaluations">${countText(audit.evaluations)}</dd></div>
<div><dt>Reused</dt><dd data-live="reused">${countText(audit.evaluationsReused)}</dd></div>
<div><dt>Started</dt><dd>${timeText(audit.createdAt)}</dd></div>
<div><dt>Last change</dt><dd data-live="updated">${timeText(audit.updatedAt)}</dd></div>
</dl>
${audit.error && markup`<p class="notice warning" role="alert">${audit.error}</p>`}
<p data-live="links"${audit.state === 'succeeded' ? '' : HIDDEN}>${links}</p>
<progress data-live="progress" max="1" value="0" hidden aria-label="Progress of the stage"></progress>
<p data-live="detail" class="muted" role="status"></p>
<noscript><p class="notice">This page follows a running audit only with JavaScript on. Reload it to see what has changed.</p></noscript>
<h2>Prompts</h2>
<div class="scroll table-frame" tabindex="0" role="region" aria-label="Prompts"><table><caption>Minimal sets as they are found</caption><thead><tr><th scope="col">Prompt</th><th scope="col">Outcome</th><th scope="col" class="number">Features</th><th scope="col" class="number">Evaluations</th></tr></thead><tbody data-live="prompts"></tbody></table></div>
<h2>Events</h2>
<ol class="events" data-live="events" aria-live="off"></ol>
</section>`,
  );
}

const HIDDEN: Markup = markup` hidden`;
