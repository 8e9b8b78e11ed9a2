import { describe, expect, it, vi } from 'vitest';
import type { ChatMessage, ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { createTokenizerFromFolder } from '../../../services/inference/tokenizer/tokenizer-from-folder.js';
import { createTokenizerFromGguf } from '../../../services/inference/tokenizer/tokenizer-from-gguf.js';
import { asByteLevelGguf, fixtures, folderWith } from './tokenizer-fixtures.js';

const row = fixtures.byte_level[0]!; // gpt-2; <|bos|> is 0, <|im_start|> 1, <|im_end|> 2
const config = { bos_token: '<|bos|>', eos_token: { content: '<|im_end|>', special: true } };

/** A Hugging Face folder with that tokenizer, the config above and what is given on top. */
const load = (more: object = {}, files: Record<string, string | object> = {}): Promise<ChatTokenizer> =>
  createTokenizerFromFolder(
    folderWith({ 'tokenizer.json': row.tokenizer_json, 'tokenizer_config.json': { ...config, ...more }, ...files }),
  );

const user = (content: string): ChatMessage[] => [{ role: 'user', content }];
const template = (name: string): string => fixtures.templates[name]!;
const BOS_TEMPLATE = template('bos, trimmed, no system role');
const NO_BOS_TEMPLATE = template('no bos, instruction marks');

describe('chat templates', () => {
  it.each(fixtures.chats.filter(({ text }) => text !== null))(
    'render as in transformers: $template, $messages.length messages',
    async ({ template: name, messages, text, ids }) => {
      const tokenizer = await load({ chat_template: template(name) });
      const chat = tokenizer.encodeChat(messages);
      expect(chat.text).toBe(text);
      expect(chat.tokenIds).toEqual(ids);
    },
  );

  it('that refuse a role give the template’s own words', async () => {
    const refused = fixtures.chats.find(({ text }) => text === null)!;
    const tokenizer = await load({ chat_template: template(refused.template) });
    expect(() => tokenizer.encodeChat(refused.messages)).toThrow(
      expect.objectContaining({
        code: 'REQUEST_INVALID',
        message: expect.stringContaining('System role not supported'),
      }),
    );
  });

  it('give the same text on any day', async () => {
    const tokenizer = await load({ chat_template: template('date and namespace') });
    const today = tokenizer.encodeChat(user('Zebra')).text;
    vi.useFakeTimers({ now: new Date('2031-01-05') });
    expect(tokenizer.encodeChat(user('Zebra')).text).toBe(today);
    vi.useRealTimers();
    expect(today).toContain('Today Date: 26 Jul 2024');
  });

  it('come from chat_template.jinja before tokenizer_config.json, and by the name "default" from a list', async () => {
    const list = [
      { name: 'tool_use', template: 'tool' },
      { name: 'default', template: 'D {{ messages[0].content }}' },
    ];
    expect((await load({ chat_template: list })).encodeChat(user('x')).text).toBe('D x');
    const withFile = await load({ chat_template: list }, { 'chat_template.jinja': 'F {{ messages[0].content }}' });
    expect(withFile.encodeChat(user('x')).text).toBe('F x');
  });

  it('may be missing: chat is refused with a way out, raw text works', async () => {
    const tokenizer = await load();
    expect(tokenizer.templateDigest).toBeUndefined();
    expect(tokenizer.encodeRaw('Hello').tokenIds).toEqual(row.with_specials);
    expect(() => tokenizer.encodeChat(user('Hello'))).toThrow(
      expect.objectContaining({
        code: 'REQUEST_INVALID',
        message: expect.stringMatching(/no chat template.*raw text/),
      }),
    );
  });

  it('take more variables, which change the template digest and not the tokenizer digest', async () => {
    const source = '{% if enable_thinking %}think {% endif %}{{ messages[0].content }}';
    const folder = folderWith({ 'tokenizer.json': row.tokenizer_json, 'chat_template.jinja': source });
    const plain = await createTokenizerFromFolder(folder);
    const thinking = await createTokenizerFromFolder(folder, { templateVariables: { enable_thinking: true } });
    expect([plain, thinking].map((tokenizer) => tokenizer.encodeChat(user('x')).text)).toEqual(['x', 'think x']);
    expect(thinking.digest).toBe(plain.digest);
    expect(thinking.templateDigest).not.toBe(plain.templateDigest);
  });

  it.each([
    ['does not parse', '{% if %}', 'TENSOR_FILE_UNSUPPORTED', /chat template cannot be read/],
    ['counts to a billion', '{% for i in range(1000000000) %}x{% endfor %}', 'REQUEST_INVALID', /at most 10000/],
  ])('are refused when one %s', async (_name, source, code, text) => {
    const run = load({ chat_template: source }).then((tokenizer) => tokenizer.encodeChat(user('x')));
    await expect(run).rejects.toMatchObject({ code, message: expect.stringMatching(text) });
  });
});

describe('BOS', () => {
  const countBos = (ids: readonly number[]) => ids.filter((id) => id === 0).length;

  it.each([
    ['written by the template, wanted by the config', BOS_TEMPLATE, true, 1],
    ['written by the template, not wanted by the config', BOS_TEMPLATE, false, 1],
    ['not written, wanted', NO_BOS_TEMPLATE, true, 1],
    ['not written, not wanted', NO_BOS_TEMPLATE, false, 0],
  ])('in a chat: %s', async (_name, source, wanted, expected) => {
    const tokenizer = await load({ chat_template: source, add_bos_token: wanted });
    const { tokenIds, instructionStart } = tokenizer.encodeChat(user('Hello'));
    expect(countBos(tokenIds)).toBe(expected);
    expect(tokenIds[0] === 0).toBe(expected === 1);
    expect(tokenizer.decode(tokenIds.slice(instructionStart))).toMatch(/^ ?Hello/);
  });

  it('stands before raw text only where the config or the post-processor says so', async () => {
    const hello = (await load()).encode('Hello');
    for (const [wanted, ids] of [
      [true, [0, ...hello]],
      [false, hello],
    ] as const)
      expect((await load({ add_bos_token: wanted })).encodeRaw('Hello')).toEqual({
        tokenIds: ids,
        instructionStart: ids.length - hello.length,
      });
    const llama = fixtures.byte_level.find(({ pre }) => pre === 'llama-bpe')!; // its post-processor adds BOS
    const folder = folderWith({ 'tokenizer.json': llama.tokenizer_json, 'tokenizer_config.json': config });
    expect((await createTokenizerFromFolder(folder)).encodeRaw('Hello').tokenIds).toEqual(llama.with_specials);
    expect(llama.with_specials[0]).toBe(0);
  });

  it('follows the kind of tokenizer where a GGUF file does not say', () => {
    const starts = fixtures.byte_level.map((source) =>
      createTokenizerFromGguf(asByteLevelGguf(source)).encodeRaw('Hello'),
    );
    const withBos = fixtures.byte_level.filter((_, index) => starts[index]!.tokenIds[0] === 0).map(({ pre }) => pre);
    expect(withBos).toEqual(['llama-bpe', 'tekken']);
  });
});

describe('the instruction', () => {
  it('is the last user message, whatever stands before it', async () => {
    const tokenizer = await load({ chat_template: template('date and namespace') });
    for (const messages of fixtures.chats.slice(0, 3).map((chat) => chat.messages)) {
      const { tokenIds, instructionStart, instructionEnd } = tokenizer.encodeChat(messages);
      expect(tokenizer.decode(tokenIds.slice(instructionStart, instructionEnd))).toBe(messages.at(-1)!.content.trim());
    }
  });

  it('starts where two renderings first differ, also for a text that begins like the probe', async () => {
    const tokenizer = await load({ chat_template: BOS_TEMPLATE });
    const starts = ['Zebra', '42 apples', 'Zebra crossing', '42', 'e'].map(
      (content) => tokenizer.encodeChat(user(content)).instructionStart,
    );
    expect(new Set(starts).size).toBe(1);
  });

  it.each([
    ['PROMPT_EMPTY', user('   '), /no text that the chat template keeps/],
    ['PROMPT_EMPTY', user(''), /no text/],
    ['REQUEST_INVALID', [], /role "user"/],
    ['REQUEST_INVALID', [{ role: 'assistant', content: 'Hi' }], /role "user"/],
  ])('that is missing gives %s', async (code, messages, text) => {
    const tokenizer = await load({ chat_template: BOS_TEMPLATE });
    expect(() => tokenizer.encodeChat(messages)).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(text) }),
    );
  });

  it('of raw text may not be empty either', async () => {
    const tokenizer = await load({ add_bos_token: true });
    expect(() => tokenizer.encodeRaw('')).toThrow(expect.objectContaining({ code: 'PROMPT_EMPTY' }));
  });
});

describe('special ids', () => {
  it('that end an answer: EOS, those of generation_config.json, and the template’s end of turn', async () => {
    const eos = (await load({ eos_token: '<tool>' }, { 'generation_config.json': { eos_token_id: [5, 7] } })).eosIds;
    const tool = row.tokenizer_json.added_tokens.find(({ content }) => content === '<tool>')!.id;
    expect(eos).toEqual([tool, 5, 7]);
    expect((await load({ eos_token: '<tool>', chat_template: BOS_TEMPLATE })).eosIds).toEqual([tool, 2]);
  });

  it('are left out of a decoded text on demand', async () => {
    const tokenizer = await load({ chat_template: NO_BOS_TEMPLATE });
    const ids = [0, 1, ...tokenizer.encode('Hi'), 2];
    expect(tokenizer.decode(ids)).toBe('<|bos|><|im_start|>Hi<|im_end|>');
    expect(tokenizer.decode(ids, { skipSpecial: true })).toBe('Hi');
    expect(tokenizer.decode([])).toBe('');
  });

  it.each([-1, 1.5, 1_000_000, Number.NaN])('outside the vocabulary are refused: %d', async (id) => {
    const tokenizer = await load();
    expect(() => tokenizer.decode([id])).toThrow(
      expect.objectContaining({
        code: 'REQUEST_INVALID',
        message: expect.stringContaining(`0 to ${tokenizer.vocabSize - 1}`),
      }),
    );
  });
});

describe('digests', () => {
  it('stay the same for the same files and change with one merge, the BOS rule, or the template', async () => {
    const digests = (tokenizer: ChatTokenizer) => [tokenizer.digest, tokenizer.templateDigest];
    const source = asByteLevelGguf(row);
    const base = { ...source, chatTemplate: BOS_TEMPLATE };
    const [digest, templateDigest] = digests(createTokenizerFromGguf(base));
    expect(digests(createTokenizerFromGguf({ ...base }))).toEqual([digest, templateDigest]);
    expect(createTokenizerFromGguf({ ...base, merges: source.merges!.slice(1) }).digest).not.toBe(digest);
    expect(createTokenizerFromGguf({ ...base, addBos: true }).digest).not.toBe(digest);
    const other = createTokenizerFromGguf({ ...base, chatTemplate: `${BOS_TEMPLATE} ` });
    expect(other.digest).toBe(digest);
    expect(other.templateDigest).not.toBe(templateDigest);
  });
});
