/** The live view of an audit in a real browser. Skipped where no Chromium is installed. */
import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningConsole, startConsole } from '../../../services/console/start-console.js';
import { sampleReport } from '../../unit/console/sample-report.js';
import { chromiumPath, openBrowser, watchedPage } from './chromium.js';
import { ScriptedAudits } from './scripted-audits.js';

describe.skipIf(chromiumPath === undefined)('live view in Chromium', () => {
  let browser: Browser;
  let running: RunningConsole;
  let audits: ScriptedAudits;

  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser?.close();
  });
  // Audits of its own for every try: a second try must not see the first one's events.
  beforeEach(async () => {
    audits = new ScriptedAudits();
    running = await startConsole({ audits });
  });
  afterEach(async () => {
    await running?.stop();
  });

  it('fills as the audit runs, shows event text as text, and leads to the report', async () => {
    audits.add('a-1', { title: 'Nightly' });
    const { page, complaints, requests } = await watchedPage(browser);
    await page.goto(running.address);
    await page.getByRole('link', { name: 'Nightly' }).click();
    audits.emit('a-1', { kind: 'stage-started', stage: 'filter', number: 6, stages: 9 });
    const progress = {
      kind: 'progress',
      stage: 'filter',
      total: 18,
      evaluationsReused: 31,
      detail: 'p003-harmful',
    } as const;
    audits.emit('a-1', { ...progress, done: 3, evaluations: 1207 });
    await page.getByText('filter: 3 of 18. p003-harmful').waitFor();
    expect(await page.locator('[data-live=evaluations]').textContent()).toBe('1\u202f207');
    expect(await page.locator('progress').getAttribute('value')).toBe('3');
    expect(await page.locator('progress').getAttribute('max')).toBe('18');

    audits.emit('a-1', {
      kind: 'prompt-filtered',
      promptId: '<b>p</b>',
      outcome: 'found',
      setSize: 2,
      evaluations: 40,
    });
    audits.emit('a-1', { kind: 'warning', code: 'W', text: '<img src=x onerror=alert(1)>' });
    await page.getByText('W: <img src=x onerror=alert(1)>').waitFor();
    expect(await page.locator('[data-live=prompts] tr > *').allTextContents()).toEqual([
      '<b>p</b>',
      'found',
      '2',
      '40',
    ]);

    expect(await page.getByRole('link', { name: 'Open the report' }).isVisible()).toBe(false);
    expect(await page.locator('[data-live=updated]').textContent()).toBe('2026-11-20 09:13 UTC');
    audits.finish('a-1', sampleReport());
    await page.getByRole('link', { name: 'Open the report' }).click();
    await page.getByText('switches refusal off in 16 of 18').waitFor();
    // The page closes its stream at the last word, or is left: whether the server's end comes before that is chance.
    expect(
      complaints.filter((text) => text !== `failed: ${new URL('/audits/a-1/events', running.address).href}`),
    ).toEqual([]);
    expect(requests.filter((url) => !url.startsWith(running.address))).toEqual([]);
    await page.close();
  });

  it('asks once for the events of an audit that has ended', async () => {
    audits.add('a-2');
    audits.emit('a-2', { kind: 'ended', state: 'failed', error: 'MODEL_UNAVAILABLE' });
    const { page, requests } = await watchedPage(browser);
    await page.goto(new URL('/audits/a-2', running.address).href);
    await page.getByText('The audit has ended: failed. MODEL_UNAVAILABLE').waitFor();
    // The browser would ask again after 2 s.
    await page.waitForTimeout(2600);
    expect(requests.filter((url) => url.endsWith('/events'))).toHaveLength(1);
    await page.close();
  });
});
