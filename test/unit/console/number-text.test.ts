import { describe, expect, it } from 'vitest';
import {
  changeText,
  countText,
  durationText,
  numberText,
  percentText,
  pluralText,
  shareText,
} from '../../../services/console/text/number-text.js';
import { shortText } from '../../../services/console/text/short-text.js';

describe('number text', () => {
  it('writes a true minus sign and no minus zero', () => {
    expect(numberText(-1.236)).toBe('\u22121.24');
    expect(numberText(-0.001)).toBe('0.00');
    expect(changeText(0.5)).toBe('+0.50');
    expect(changeText(0.001)).toBe('0.00');
  });

  it('writes a dash for what was not measured, never NaN', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, null, undefined])
      expect([numberText(value), changeText(value), countText(value), percentText(value), durationText(value)]).toEqual(
        Array(5).fill('–'),
      );
    expect(shareText(null, 4)).toBe('–');
  });

  it('groups thousands', () => {
    expect([countText(999), countText(1000), countText(1_234_567)]).toEqual([
      '999',
      '1\u202f000',
      '1\u202f234\u202f567',
    ]);
  });

  it('never rounds a rate to certainty, and gives none for an empty denominator', () => {
    expect([percentText(0), percentText(0.004), percentText(0.996), percentText(1)]).toEqual([
      '0\u00a0%',
      '<1\u00a0%',
      '>99\u00a0%',
      '100\u00a0%',
    ]);
    expect(shareText(12, 16)).toBe('12 of 16 (75\u00a0%)');
    expect(shareText(0, 0)).toBe('0 of 0');
  });

  it('writes durations with the unit that fits', () => {
    expect([durationText(8.21), durationText(185), durationText(7440)]).toEqual(['8.2 s', '3 min 05 s', '2 h 04 min']);
  });

  it('counts in words', () => {
    expect([pluralText(1, 'feature'), pluralText(0, 'feature')]).toEqual(['1 feature', '0 features']);
  });

  it('cuts long text between characters', () => {
    expect(shortText('ab😀cd', 4)).toBe('ab😀…');
    expect(shortText('abcd', 4)).toBe('abcd');
  });
});
