import { describe, expect, it } from 'vitest';
import { shareBars } from '../../../services/console/report/charts/bar-chart.js';
import { chartFrame, px } from '../../../services/console/report/charts/chart-frame.js';
import { heatMap, reachOf, tintOf } from '../../../services/console/report/charts/heat-map.js';
import { countValues, histogram } from '../../../services/console/report/charts/histogram.js';
import { intervalChart } from '../../../services/console/report/charts/interval-chart.js';
import { lineChart } from '../../../services/console/report/charts/line-chart.js';
import { featureTicks, pathChart } from '../../../services/console/report/charts/path-chart.js';
import { presenceMatrix } from '../../../services/console/report/charts/presence-matrix.js';
import { scatterChart } from '../../../services/console/report/charts/scatter-chart.js';
import { stackLevels, stripChart } from '../../../services/console/report/charts/strip-chart.js';
import { markup } from '../../../services/console/text/markup.js';
import { hasBadNumber, marksOf, numberOf } from './chart-marks.js';

const text = { title: 'T', description: 'D' };
const HOSTILE = '"><script>alert(1)</script>';

describe('chart frame', () => {
  it('names the chart for a reader who cannot see it, and refuses a coordinate that is no number', () => {
    const svg = chartFrame({ title: HOSTILE, description: 'D' }, { width: 10, height: 5 }, markup``).text;
    expect(svg).toContain('role="img"');
    expect(svg).not.toContain('<script');
    expect(() => px(Number.NaN)).toThrow('a chart coordinate is NaN');
    expect(px(1.23456)).toBe(1.23);
  });
});

describe('line chart', () => {
  const chart = (points: { x: number; y: number }[]): string =>
    lineChart({
      ...text,
      width: 300,
      height: 200,
      xLabel: 'layer',
      yLabel: 'share',
      yInclude: [0, 100],
      series: [
        { name: 's', tone: 'comply', shape: 'circle', points: points.map((point) => ({ ...point, tip: HOSTILE })) },
      ],
    }).text;

  it('puts equal steps of data at equal steps of pixels, up for more', () => {
    const dots = marksOf(
      chart([
        { x: 1, y: 0 },
        { x: 2, y: 50 },
        { x: 3, y: 100 },
      ]),
      '<circle',
    );
    const [first, second, third] = dots.map((dot) => [numberOf(dot, 'cx'), numberOf(dot, 'cy')] as const);
    expect(second![0] - first![0]).toBeCloseTo(third![0] - second![0], 1);
    expect(first![1] - second![1]).toBeCloseTo(second![1] - third![1], 1);
    expect(third![1]).toBeLessThan(first![1]);
  });

  it('draws one point, leaves out what is not a number and says so, and has a sentence for nothing', () => {
    expect(marksOf(chart([{ x: 4, y: 10 }]), '<circle')).toHaveLength(1);
    const partly = chart([
      { x: 1, y: 5 },
      { x: 2, y: Number.NaN },
    ]);
    expect(marksOf(partly, '<circle')).toHaveLength(1);
    expect(partly).toContain('Not drawn, because not a number: 1.');
    expect(hasBadNumber(partly.replace(/<p.*/, ''))).toBe(false);
    expect(chart([])).toBe('<p class="nothing">T: nothing was measured.</p>');
  });

  it('escapes tips', () => {
    expect(chart([{ x: 1, y: 1 }])).not.toContain('<script');
  });
});

describe('line chart on a log scale', () => {
  const chart = (points: { x: number; y: number }[], extendTo?: number): string =>
    lineChart({
      ...text,
      width: 300,
      height: 200,
      xLabel: 'x',
      yLabel: 'y',
      xScale: 'log',
      series: [
        {
          name: 's',
          tone: 'comply',
          shape: 'circle',
          points: points.map((point) => ({ ...point, tip: HOSTILE })),
          ...(extendTo !== undefined && { extendTo }),
        },
      ],
    }).text;

  it('puts equal ratios at equal distances, and leaves out what has no logarithm', () => {
    const svg = chart([
      { x: 1, y: 1 },
      { x: 10, y: 2 },
      { x: 100, y: 3 },
      { x: 0, y: 3 },
    ]);
    const [one, ten, hundred, ...others] = marksOf(svg, '<circle').map((mark) => numberOf(mark, 'cx'));
    expect(others).toEqual([]);
    expect(hundred! - ten!).toBeCloseTo(ten! - one!, 1);
    expect(svg).toContain('Not drawn, because not a number: 1.');
    expect(hasBadNumber(chart([{ x: 5, y: 1 }]))).toBe(false);
  });

  it('goes on level to where a line is to end', () => {
    const svg = chart([{ x: 2, y: 1 }], 8);
    expect(svg).toMatch(/class="line comply" d="M54 [\d.]+H276"/);
    expect(marksOf(svg, '<circle')).toHaveLength(1);
  });
});

describe('share bars', () => {
  const chart = (count: number, total: number): string =>
    shareBars({ ...text, width: 332, xLabel: 'share', bars: [{ label: HOSTILE, count, total, tone: 'third' }] }).text;

  it('is as long as the share of the full track', () => {
    const svg = chart(3, 4);
    expect(numberOf(marksOf(svg, 'bar third')[0], 'width')).toBeCloseTo(
      0.75 * numberOf(marksOf(svg, 'track')[0], 'width'),
      5,
    );
    expect(svg).toContain('3 of 4 (75');
    expect(svg).not.toContain('<script');
  });

  it('has no bar, no whisker and no NaN for an empty denominator', () => {
    const svg = chart(0, 0);
    expect(numberOf(marksOf(svg, 'bar third')[0], 'width')).toBe(0);
    expect(marksOf(svg, 'whisker')).toHaveLength(0);
    expect(hasBadNumber(svg)).toBe(false);
  });
});

describe('histogram', () => {
  it('counts whole numbers', () => {
    expect(countValues([2, 1, 2, Number.NaN, 5])).toEqual([
      [1, 1],
      [2, 2],
      [5, 1],
    ]);
  });

  it('has heights in proportion to counts, and gaps where nothing was counted', () => {
    const svg = histogram({
      ...text,
      width: 300,
      height: 200,
      xLabel: 'x',
      yLabel: 'y',
      values: [1, 1, 1, 1, 2, 2, 6],
    }).text;
    const [one, two, six] = marksOf(svg, 'bar comply');
    expect(numberOf(one, 'height') / numberOf(two, 'height')).toBeCloseTo(2, 2);
    const centre = (mark: typeof one): number => numberOf(mark, 'x') + numberOf(mark, 'width') / 2;
    expect((centre(six) - centre(two)) / (centre(two) - centre(one))).toBeCloseTo(4, 1);
  });

  it('has a sentence for nothing', () => {
    expect(histogram({ ...text, width: 1, height: 1, xLabel: '', yLabel: '', values: [] }).text).toContain(
      'nothing to count',
    );
  });
});

describe('heat map', () => {
  const cell = { rejected: false, selected: false, tip: HOSTILE };
  const spec = {
    ...text,
    columns: ['0', '1'],
    rows: ['-1'],
    xLabel: 'layer',
    yLabel: 'position',
    valueLabel: 'v',
    reach: 2,
    above: 'refuse',
    below: 'comply',
  };

  it('tints by size and colours by sign', () => {
    expect([tintOf(2, 2), tintOf(4, 2), tintOf(0, 2), tintOf(-1, 2), tintOf(Number.NaN, 2), tintOf(1, 0)]).toEqual([
      1, 1, 0.05, 0.525, 0, 0,
    ]);
    const svg = heatMap({
      ...spec,
      cells: [
        { ...cell, column: 0, row: 0, value: -1, rejected: true },
        { ...cell, column: 1, row: 0, value: 2, selected: true },
      ],
    }).text;
    const grid = svg.slice(svg.indexOf('cell-back'));
    expect(numberOf(marksOf(grid, 'cell comply')[0], 'fill-opacity')).toBe(0.525);
    expect(numberOf(marksOf(grid, 'cell refuse')[0], 'fill-opacity')).toBe(1);
    expect(marksOf(grid, 'strike')).toHaveLength(1);
    const [selected] = marksOf(grid, 'selected');
    expect(numberOf(selected, 'x')).toBe(numberOf(marksOf(grid, 'cell refuse')[0], 'x') - 1);
    expect(svg).not.toContain('<script');
  });

  it('leaves a value that is no number without a tint', () => {
    const svg = heatMap({ ...spec, cells: [{ ...cell, column: 0, row: 0, value: Number.NaN }] }).text;
    expect(hasBadNumber(svg)).toBe(false);
    expect(heatMap({ ...spec, cells: [] }).text).toContain('nothing was measured');
  });

  it('takes the reach from most values, not from an outlier', () => {
    expect(reachOf([...Array<number>(30).fill(-1), 500])).toBe(1);
    expect([reachOf([]), reachOf([0]), reachOf([Number.NaN])]).toEqual([1, 1, 1]);
  });
});

describe('path chart', () => {
  const trial = (
    featuresOff: number,
    score: number,
  ): { featuresOff: number; score: number; flipped: boolean; action: string } => ({
    featuresOff,
    score,
    flipped: score < 0,
    action: HOSTILE,
  });
  const spec = { ...text, width: 320, height: 250, cleanScore: 2 };

  it('leads the line through what flipped alone, and circles the set', () => {
    const svg = pathChart({
      ...spec,
      trials: [trial(31, -4), trial(15, 1), trial(15, -3), trial(7, -2)],
      set: { size: 7, score: -2 },
    }).text;
    const path = marksOf(svg, 'line comply')[0]!.attributes.d!;
    expect(path.match(/[ML]/g)).toHaveLength(3);
    expect(marksOf(svg, 'ring refuse')).toHaveLength(1);
    expect(marksOf(svg, 'square ink')).toHaveLength(1);
    const points = [...path.matchAll(/[ML]([\d.]+) /g)].map(([, x]) => Number(x));
    // 31, 15 and 7 off are 5, 4 and 3 octaves: evenly spaced.
    expect(points[0]! - points[1]!).toBeCloseTo(points[1]! - points[2]!, 1);
    expect(numberOf(marksOf(svg, 'halo')[0], 'cx')).toBe(points[2]);
    expect(svg).not.toContain('<script');
  });

  it('draws a path of one trial, ignores NaN, and has a sentence for none', () => {
    const svg = pathChart({ ...spec, trials: [trial(1, -1), trial(2, Number.NaN)] }).text;
    expect(marksOf(svg, 'circle comply')).toHaveLength(1);
    expect(hasBadNumber(svg)).toBe(false);
    expect(pathChart({ ...spec, trials: [] }).text).toContain('nothing was tried');
  });

  it('ticks at 1, 2 and 5 times powers of ten, from 0', () => {
    expect(featureTicks(60)).toEqual([0, 1, 2, 5, 10, 20, 50]);
    expect(featureTicks(0)).toEqual([0]);
  });
});

describe('strip chart', () => {
  it('stacks dots that would cover one another, and only those', () => {
    expect(stackLevels([10, 11, 30, 12, 31], 5)).toEqual([0, 1, 0, 2, 1]);
    expect(stackLevels([0, 5, 10], 5)).toEqual([0, 0, 0]);
    expect(stackLevels([], 5)).toEqual([]);
  });

  it('has a sentence for nothing, and no NaN', () => {
    const dot = { tone: 'comply', shape: 'circle', tip: HOSTILE } as const;
    const spec = { ...text, width: 300, xLabel: 'x', reference: 0 };
    const svg = stripChart({
      ...spec,
      groups: [
        {
          name: HOSTILE,
          dots: [
            { ...dot, value: Number.NaN },
            { ...dot, value: 1 },
          ],
        },
      ],
    }).text;
    expect(marksOf(svg, '<circle')).toHaveLength(1);
    expect(hasBadNumber(svg)).toBe(false);
    expect(svg).not.toContain('<script');
    expect(stripChart({ ...spec, groups: [{ name: 'a', dots: [] }] }).text).toContain('nothing was measured');
  });
});

describe('presence matrix', () => {
  it('has a dot exactly where the cell says so', () => {
    const svg = presenceMatrix({
      ...text,
      rows: [
        { name: HOSTILE, note: '2' },
        { name: 'b', note: '1' },
      ],
      columns: ['p', HOSTILE, 'r'],
      rowsLabel: 'feature',
      columnsLabel: 'prompt',
      cell: (row, column) => (row === 0 || column === 2 ? { tone: 'comply', tip: HOSTILE } : undefined),
    }).text;
    const dots = marksOf(svg, 'dot');
    expect(dots).toHaveLength(4);
    expect(new Set(dots.map((dot) => numberOf(dot, 'cy')))).toHaveLength(2);
    expect(numberOf(dots[3], 'cx')).toBe(numberOf(dots[2], 'cx'));
    expect(svg).not.toContain('<script');
  });
});

describe('scatter chart', () => {
  it('puts equal pairs on the line of equality', () => {
    const svg = scatterChart({
      ...text,
      side: 320,
      xLabel: 'p',
      yLabel: 'm',
      points: [
        { x: -1, y: -1, tip: '' },
        { x: 2, y: 2, tip: '' },
        { x: 1, y: Number.NaN, tip: '' },
      ],
    }).text;
    const [line] = marksOf(svg, 'reference');
    const dots = marksOf(svg, '<circle');
    expect(dots).toHaveLength(2);
    const slope = (numberOf(line, 'y2') - numberOf(line, 'y1')) / (numberOf(line, 'x2') - numberOf(line, 'x1'));
    for (const dot of dots)
      expect(numberOf(line, 'y1') + slope * (numberOf(dot, 'cx') - numberOf(line, 'x1'))).toBeCloseTo(
        numberOf(dot, 'cy'),
        0,
      );
    expect(scatterChart({ ...text, side: 10, xLabel: '', yLabel: '', points: [] }).text).toContain(
      'no pair was measured',
    );
  });
});

describe('interval chart', () => {
  const row = { label: '1/2', mean: -1, low: -2, high: 0, against: 0, tip: HOSTILE };
  const chart = (rows: (typeof row)[]): string =>
    intervalChart({ ...text, width: 400, xLabel: 'effect (nats)', rows }).text;

  it('puts the mean inside its interval, and the null sets where their value is', () => {
    const svg = chart([row]);
    const [, low, high] = /class="whisker" d="M([\d.]+) [\d.]+V[\d.]+M[\d.]+ [\d.]+H([\d.]+)/.exec(svg) ?? [];
    const mean = numberOf(marksOf(svg, '<circle')[0], 'cx');
    expect(mean).toBeCloseTo((Number(low) + Number(high)) / 2, 1);
    // The dotted line at 0 is where the interval ends, and where the cross stands.
    expect(numberOf(marksOf(svg, 'reference')[0], 'x1')).toBe(Number(high));
    const [, left, right] = /class="mark third cross"><path d="M([\d.]+) [\d.]+L([\d.]+)/.exec(svg) ?? [];
    expect((Number(left) + Number(right)) / 2).toBeCloseTo(Number(high), 1);
    expect(svg).not.toContain('<script');
  });

  it('leaves out a row without numbers, and is a sentence without any', () => {
    const broken = { ...row, mean: Number.NaN };
    expect(marksOf(chart([row, broken]), '<circle')).toHaveLength(1);
    expect(hasBadNumber(chart([{ ...row, against: Number.NaN }]))).toBe(false);
    expect(chart([broken])).toContain('class="nothing"');
  });
});
