import { describe, expect, it } from 'vitest';
import { formatSummary } from '../../../services/cli/summary-text.js';
import { emptyReport, sampleReport } from '../console/sample-report.js';

const lineOf = (lines: readonly string[], name: string): string | undefined =>
  lines.find((line) => line.startsWith(name));

describe('the summary of an audit', () => {
  const lines = formatSummary(sampleReport());

  it('says what it takes to flip half of the prompts, by the sets and by what needs no search', () => {
    expect(lineOf(lines, 'Alternatives')).toBe(
      'Alternatives  features off to flip half of 18 prompts: minimal sets 2, most shared 3, cosine 20, activation difference 40, probe weight never, random active never',
    );
  });

  it('says how far score and text agree at the shortest and at the whole length', () => {
    expect(lineOf(lines, 'By length')).toBe(
      'By length     score and text agree: clean answers 60 of 64 at 8 tokens, 56 of 63 at 48; under the sets 15 of 16 at 8 tokens, 13 of 15 at 48',
    );
  });

  it('leaves both out where nothing was measured', () => {
    const { byLength: _, ...openers } = sampleReport().openers;
    const empty = formatSummary({ ...emptyReport(), openers });
    expect(lineOf(empty, 'Alternatives')).toBeUndefined();
    expect(lineOf(empty, 'By length')).toBeUndefined();
  });
});
