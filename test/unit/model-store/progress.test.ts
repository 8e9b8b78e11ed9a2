import { describe, expect, it } from 'vitest';
import { createProgressPrinter } from '../../../shared/model-store/progress.js';

const run = (isTTY: boolean): string => {
  let text = '';
  const write = (chunk: string | Uint8Array) => {
    text += chunk;
    return true;
  };
  const printer = createProgressPrinter({ write, isTTY });
  for (let step = 0; step <= 100; step++)
    printer.onProgress({ phase: 'fetching', file: 'm.gguf', bytes: step * 1e6, totalBytes: 100e6 });
  printer.end();
  return text;
};

describe('progress of a fetch', () => {
  it('is a few plain lines off a terminal', () => {
    const lines = run(false).trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    expect(lines[2]).toBe('fetching   [############------------] 50.0/100.0 MB  m.gguf');
    expect(run(false)).not.toContain('\x1b');
  });

  it('redraws one line on a terminal and clears it at the end', () => {
    const text = run(true);
    expect(text).not.toContain('\n');
    expect(text.split('\r')).toHaveLength(103);
    expect(text.endsWith('\r\x1b[K')).toBe(true);
  });
});
