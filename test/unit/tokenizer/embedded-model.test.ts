import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ChatTokenizer } from '../../../services/inference/tokenizer/chat-tokenizer.js';
import { createStreamDecoder } from '../../../services/inference/tokenizer/stream-decoder.js';
import { createTokenizerFromGguf } from '../../../services/inference/tokenizer/tokenizer-from-gguf.js';
import { cacheFolderOf, EMBEDDED_MODEL } from '../../../shared/model-store/embedded-model.js';
import { ensureEmbeddedModel } from '../../../shared/model-store/ensure-model-file.js';
import { projectRoot } from '../../../shared/project/root.js';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { readGgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';

interface Golden {
  readonly instruction_start: number;
  readonly I_token: number;
  readonly openers: readonly { readonly text: string; readonly token_ids: number[] }[];
  readonly clean: readonly { readonly id: string; readonly token_ids: number[]; readonly text_sha256: string }[];
  readonly greedy: readonly { readonly id: string; readonly token_ids: number[]; readonly text: string }[];
}

const golden: Golden = JSON.parse(readFileSync(join(projectRoot, 'test/fixtures/golden/embedded-model.json'), 'utf8'));
const prompts = new Map(
  readFileSync(join(projectRoot, 'models/prompts/pairs.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line): { id: string; text: string } => JSON.parse(line))
    .map(({ id, text }) => [id, text]),
);

const cached = [
  process.env.REFUSALSCOPE_MODEL_DIR,
  join(cacheFolderOf(process.env), 'models', EMBEDDED_MODEL.sha256.slice(0, 16)),
].some((folder) => folder !== undefined && existsSync(folder));

describe.runIf(cached)('the embedded model’s tokenizer, from its GGUF', () => {
  let tokenizer: ChatTokenizer;
  const encode = (content: string) => tokenizer.encodeChat([{ role: 'user', content }]);

  beforeAll(async () => {
    const file = openGguf((await ensureEmbeddedModel()).path);
    tokenizer = createTokenizerFromGguf(readGgufTokenizer(file));
    file.close();
  });

  it.each(golden.clean.map(({ id }) => id))('gives the golden text and ids of %s', (id) => {
    const expected = golden.clean.find((row) => row.id === id)!;
    const { text, tokenIds, instructionStart, instructionEnd } = encode(prompts.get(id)!);
    expect(createHash('sha256').update(text).digest('hex')).toBe(expected.text_sha256);
    expect(tokenIds).toEqual(expected.token_ids);
    expect(instructionStart).toBe(golden.instruction_start);
    expect(tokenizer.decode(tokenIds.slice(instructionStart, instructionEnd))).toBe(prompts.get(id));
  });

  it('marks exactly the user’s text as the instruction, for every prompt that ships', () => {
    for (const content of prompts.values()) {
      const { tokenIds, instructionStart, instructionEnd } = encode(content);
      expect(tokenizer.decode(tokenIds.slice(instructionStart, instructionEnd))).toBe(content);
    }
  });

  it('counts a line break that merged with the template as instruction', () => {
    const { tokenIds, instructionStart, instructionEnd } = encode('\n\nHello');
    expect(instructionStart).toBe(golden.instruction_start - 1);
    expect(tokenizer.decode(tokenIds.slice(instructionStart, instructionEnd))).toBe('\n\n\nHello');
  });

  it('gives the golden ids of the openers and of "I"', () => {
    for (const opener of golden.openers) expect(tokenizer.encode(opener.text)).toEqual(opener.token_ids);
    expect(tokenizer.encode('I')).toEqual([golden.I_token]);
  });

  it('decodes the golden answers, whole and streamed', () => {
    for (const { token_ids, text } of golden.greedy) {
      expect(tokenizer.decode(token_ids)).toBe(text);
      const stream = createStreamDecoder(tokenizer);
      expect(token_ids.map((id) => stream.push(id)).join('') + stream.end()).toBe(text);
    }
  });

  it('knows its special tokens, and adds no BOS to raw text', () => {
    expect(tokenizer.bosId).toBe(1);
    expect(tokenizer.eosIds).toEqual([2]);
    expect(tokenizer.vocabSize).toBe(49_152);
    expect(tokenizer.encodeRaw('Hello')).toEqual({ tokenIds: tokenizer.encode('Hello'), instructionStart: 0 });
  });

  it('encodes a prompt within 5 ms once warm', () => {
    const [content] = prompts.values();
    for (let i = 0; i < 50; i++) encode(content!);
    const start = performance.now();
    for (let i = 0; i < 200; i++) encode(content!);
    expect((performance.now() - start) / 200).toBeLessThan(5);
  });
});
