/** Definitions that a fuzzer found: each once threw what is no fault, or never ended. */
import { describe, expect, it } from 'vitest';
import { parseChatTemplate } from '../../../services/inference/tokenizer/chat-template.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import { fixtures, folderWith } from './tokenizer-fixtures.js';

const sound = fixtures.byte_level[0]!.tokenizer_json;
const open = (change: object) =>
  createTokenizerFromFolder(folderWith({ 'tokenizer.json': { ...(sound as object), ...change } }));

describe('a tokenizer.json', () => {
  it.each([
    [
      'null for added tokens that are a text',
      { added_tokens: 'none' },
      'TENSOR_FILE_CORRUPT',
      /added_tokens is no list/,
    ],
    ['an added token that is null', { added_tokens: [null] }, 'TENSOR_FILE_CORRUPT', /added_tokens is no list/],
    ['no vocabulary but null', { model: { type: 'BPE', vocab: null, merges: [] } }, 'TENSOR_FILE_CORRUPT', /no model/],
    [
      'a sequence without its parts',
      { pre_tokenizer: { type: 'Sequence', pretokenizers: 4 } },
      'TENSOR_FILE_UNSUPPORTED',
      /cannot be built from its definition/,
    ],
    [
      'a pattern of an unknown kind',
      { pre_tokenizer: { type: 'Split', pattern: { Glob: '*' }, behavior: 'Isolated', invert: false } },
      'TENSOR_FILE_UNSUPPORTED',
      /a pattern of the pre_tokenizer is neither a Regex nor a String/,
    ],
    [
      'steps that double each text thirty times',
      {
        pre_tokenizer: {
          type: 'Sequence',
          pretokenizers: Array.from({ length: 30 }, () => ({
            type: 'ByteLevel',
            add_prefix_space: false,
            use_regex: false,
          })),
        },
      },
      'TENSOR_FILE_UNSUPPORTED',
      /makes a text up to 1073741824 times as long; at most 256/,
    ],
  ])('with %s is refused', async (_name, change, code, message) => {
    await expect(open(change)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('whose post-processor fails on a text refuses the text, by a fault', async () => {
    const tokenizer = open({
      post_processor: { type: 'TemplateProcessing', single: [1e308], pair: [], special_tokens: {} },
    });
    await expect(tokenizer.then((built) => built.encodeRaw('Hello'))).rejects.toMatchObject({
      code: 'TENSOR_FILE_UNSUPPORTED',
      message: expect.stringContaining('cannot encode with its definition'),
    });
  });

  it('whose pieces have ids outside of the vocabulary refuses the text', async () => {
    const vocab = Object.fromEntries(Object.entries(sound.model.vocab).map(([piece, id]) => [piece, id + 0.5]));
    const tokenizer = open({ model: { ...sound.model, vocab } });
    await expect(tokenizer.then((built) => built.encodeRaw('Hello'))).rejects.toMatchObject({
      code: expect.stringMatching(/^TENSOR_FILE_/),
    });
  });
});

describe('a chat template', () => {
  const MESSAGES = [{ role: 'user', content: 'Hello' }];
  const render = (source: string) => parseChatTemplate(source, { x: 'ab' }).render(MESSAGES, true);

  it.each([
    [
      'loops without end',
      '{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}',
      /more than 50000 steps/,
    ],
    [
      'doubles a text again and again',
      '{% set n = namespace(t="ab") %}{% for a in range(60) %}{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}',
      /text of more than 4000000 characters/,
    ],
    [
      'doubles a list again and again',
      '{% set n = namespace(t=[1]) %}{% for a in range(60) %}{% set n.t = n.t + n.t %}{% endfor %}',
      /list of more than 100000 values/,
    ],
    ['indents by a hundred million', '{{ x | indent(100000000, first=true) }}', /a filter was given 100000000/],
    ['indents JSON by a hundred million', '{{ messages | tojson(indent=100000000) }}', /a filter was given 100000000/],
    ['calls itself', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', /./],
  ])('that %s is refused in a moment', (_name, source, text) => {
    const begun = performance.now();
    expect(() => render(source)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message: expect.stringMatching(text) }),
    );
    expect(performance.now() - begun).toBeLessThan(20_000);
  });

  it('with ordinary loops and filters is rendered (control)', () => {
    expect(render('{% for m in messages %}{{ m.role }}: {{ m.content | indent(2) }}\n{% endfor %}')).toBe(
      'user: Hello\n',
    );
  });
});
