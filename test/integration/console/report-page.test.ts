/** The report in a real browser. Skipped where no Chromium is installed: apt-get install --no-install-recommends chromium. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderReport } from '../../../services/console/report/render-report.js';
import { sampleReport, withTexts } from '../../unit/console/sample-report.js';
import { chromiumPath, openBrowser, watchedPage } from './chromium.js';

describe.skipIf(chromiumPath === undefined)('report page in Chromium', () => {
  let browser: Browser;
  let folder: string;
  let url: string;

  beforeAll(async () => {
    browser = await openBrowser();
    folder = mkdtempSync(join(tmpdir(), 'report-page-'));
    url = pathToFileURL(join(folder, 'report.html')).href;
    writeFileSync(join(folder, 'report.html'), renderReport(sampleReport()));
  });
  afterAll(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it('opens without a complaint, asks for nothing but itself, and shows the key numbers', async () => {
    const { page, complaints, requests } = await watchedPage(browser);
    await page.goto(url);
    await page.getByText('switches refusal off in 16 of 18').waitFor({ state: 'visible' });
    expect(await page.locator('dd.big').allInnerTexts()).toEqual(
      ['94 %', '0 %', '89 %', '2', '93 %', '17', '4 %', '31 %'].map((text) => text.replace(' ', '\u00a0')),
    );
    expect(await page.locator('svg.chart:visible').count()).toBeGreaterThanOrEqual(13);
    expect(complaints).toEqual([]);
    expect(requests).toEqual([url]);
    await page.close();
  });

  it('is never wider than the screen, from a phone to a desk, and on paper', async () => {
    for (const width of [360, 390, 768, 1280]) {
      const { page } = await watchedPage(browser, { viewport: { width, height: 800 } });
      await page.goto(url);
      expect([width, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([width, width]);
      await page.close();
    }
    const { page } = await watchedPage(browser, { viewport: { width: 680, height: 900 } });
    await page.emulateMedia({ media: 'print' });
    await page.goto(url);
    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(680);
    await page.close();
  });

  it('reads without JavaScript', async () => {
    const context = await browser.newContext({ javaScriptEnabled: false });
    const page = await context.newPage();
    await page.goto(url);
    await page.locator('summary', { hasText: 'p002-harmful' }).click();
    await page.getByRole('img', { name: 'Greedy path of p002-harmful' }).waitFor({ state: 'visible' });
    await context.close();
  });

  it('keeps text readable in light and dark: contrast of at least 4.5 to 1', async () => {
    for (const colorScheme of ['light', 'dark'] as const) {
      const { page } = await watchedPage(browser, { colorScheme });
      await page.goto(url);
      const colours = (await page.evaluate(
        `['--ink', '--muted', '--refuse', '--comply', '--link'].map((name) => [name, getComputedStyle(document.documentElement).getPropertyValue(name), getComputedStyle(document.documentElement).getPropertyValue('--paper')])`,
      )) as [string, string, string][];
      for (const [name, colour, paper] of colours)
        expect([colorScheme, name, contrast(colour, paper) >= 4.5]).toEqual([colorScheme, name, true]);
      await page.close();
    }
  });

  it('sorts a table by a column, and back', async () => {
    const { page } = await watchedPage(browser);
    await page.goto(url);
    const table = page.locator('table', { hasText: 'Strongest pairs' });
    const column = async (): Promise<number[]> =>
      (await table.locator('tbody td:nth-child(3)').allInnerTexts()).map((text) => Number(text.replace('\u2212', '-')));
    await table.getByRole('button', { name: 'measured' }).click();
    const up = await column();
    expect(up).toEqual([...up].sort((a, b) => a - b));
    await table.getByRole('button', { name: 'measured' }).click();
    expect(await column()).toEqual([...up].reverse());
    await page.close();
  });

  it('tells about a mark under the pointer', async () => {
    const { page } = await watchedPage(browser);
    await page.goto(url);
    await page.locator('#direction svg.chart rect.selected').first().scrollIntoViewIfNeeded();
    await page.locator('#depth svg.chart .mark.circle').nth(2).hover();
    expect(await page.locator('#tip').textContent()).toContain('layer 13, this layer alone: 6 of 18 (33\u00a0%) flip');
    await page.close();
  });

  it('opens the prompt that a link names', async () => {
    const { page } = await watchedPage(browser);
    await page.goto(`${url}#prompt-4`);
    await page.getByRole('img', { name: 'Greedy path of p004-harmful' }).waitFor({ state: 'visible' });
    await page.close();
  });

  it('runs no script that came in with the report', async () => {
    const file = join(folder, 'hostile.html');
    const hostile = '<img src=x onerror="document.title=\'taken\'"></script><script>document.title="taken"</script>';
    writeFileSync(file, renderReport(withTexts(sampleReport(), (text) => text + hostile)));
    const { page, requests } = await watchedPage(browser);
    const address = pathToFileURL(file).href;
    await page.goto(address);
    expect(await page.title()).not.toBe('taken');
    expect(requests).toEqual([address]);
    await page.close();
  });
});

/** WCAG 2.2, relative luminance and contrast ratio of two #rrggbb colours. */
function contrast(first: string, second: string): number {
  const luminance = (colour: string): number => {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const part =
        Number.parseInt(
          colour
            .trim()
            .padEnd(7, colour.trim().at(-1))
            .slice(at, at + 2),
          16,
        ) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  };
  const [light, dark] = [luminance(first), luminance(second)].sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}
