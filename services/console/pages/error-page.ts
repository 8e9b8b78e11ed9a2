/** Owns the page that stands for a failure: the code and a text that may be shown. */
import type { Failure } from '../http-answer.js';
import { markup } from '../text/markup.js';
import { pageFrame } from './page-frame.js';

export const errorPage = (failure: Failure): string =>
  pageFrame(
    `${failure.status}`,
    markup`<h1>This page cannot be shown</h1><p class="notice warning">${failure.text}</p><p class="muted">Code <code>${failure.code}</code>. <a href="/">All audits</a></p>`,
  );
