/** Owns how an audit's state and times are shown: as words with a mark, not by colour alone. */
import type { AuditStateName } from '../audit-reader.js';
import { type Markup, markup } from '../text/markup.js';

const MARKS: Readonly<Record<AuditStateName, string>> = {
  running: '◔',
  succeeded: '●',
  failed: '✕',
  cancelled: '○',
  interrupted: '‖',
};

export const stateBadge = (state: AuditStateName): Markup =>
  markup`<span class="badge state-${state}" data-live="state"><span aria-hidden="true">${MARKS[state] ?? '?'}</span> ${state}</span>`;

/** "2026-11-23 18:04 UTC" from ISO 8601; what is no date is shown as it is. */
export function timeText(iso: string): Markup {
  const match = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d)/.exec(iso);
  return markup`<time datetime="${iso}">${match ? `${match[1]} ${match[2]} UTC` : iso}</time>`;
}
