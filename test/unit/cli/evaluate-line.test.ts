import { describe, expect, it } from 'vitest';
import { parseAskedLine } from '../../../services/cli/evaluate-line.js';

describe('a line of evaluate', () => {
  it('has a prompt, edits and positions; all but the prompt have defaults', () => {
    expect(parseAskedLine('{"prompt": "hi"}')).toEqual({
      prompt: 'hi',
      edits: [],
      positions: { span: 'instruction', start: 0, end: 0, includeBos: false },
    });
    expect(
      parseAskedLine('{"prompt": "hi", "ablate": ["13/5"], "clamp": {"17/2": 4}, "positions": "3:9+bos"}'),
    ).toEqual({
      prompt: 'hi',
      edits: [
        { feature: '13/5', target: 0 },
        { feature: '17/2', target: 4 },
      ],
      positions: { span: 'range', start: 3, end: 9, includeBos: true },
    });
  });

  it.each([
    ['nothing', 'REQUEST_INVALID', 'no JSON object'],
    ['[1]', 'REQUEST_INVALID', 'no JSON object'],
    ['{}', 'REQUEST_INVALID', 'prompt is missing'],
    ['{"prompt": " "}', 'PROMPT_EMPTY', 'The prompt is empty.'],
    ['{"prompt": "x", "ablat": []}', 'REQUEST_INVALID', '"ablat" is not known'],
    ['{"prompt": "x", "ablate": "13/5"}', 'REQUEST_INVALID', 'ablate must be a list'],
    ['{"prompt": "x", "ablate": ["13-5"]}', 'REQUEST_INVALID', '"13-5" is not a feature'],
    ['{"prompt": "x", "ablate": ["1/2", "1/2"]}', 'REQUEST_INVALID', '1/2 is named twice'],
    ['{"prompt": "x", "clamp": {"1/2": "4"}}', 'REQUEST_INVALID', 'clamp must map features to numbers'],
    ['{"prompt": "x", "clamp": {"1/2": 1e999}}', 'NOT_FINITE', 'The clamp value of 1/2 is Infinity'],
    ['{"prompt": "x", "positions": "everywhere"}', 'REQUEST_INVALID', '"everywhere" names no positions'],
  ])('%s is refused', (line, code, message) => {
    expect(() => parseAskedLine(line)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    );
  });
});
