/** Puts a codec, a chat template and the rules for BOS together. */
import { createHash } from 'node:crypto';
import { fault } from '../../../shared/errors/fault.js';
import { type ChatTemplate, parseChatTemplate, TEMPLATE_DATE } from './chat-template.js';
import type { ChatMessage, ChatTokenizer, EncodedChat, TokenizerDefinition } from './chat-tokenizer.js';
import { findInstruction, measureFrame, PROBES, type TemplateFrame } from './instruction-span.js';
import { createTokenCodec, type TokenCodec } from './token-codec.js';

export interface TokenizerOptions {
  /** More values for the chat template, `{ enable_thinking: false }` say. They are part of templateDigest. */
  readonly templateVariables?: Readonly<Record<string, unknown>>;
}

/** Frames kept for chats of different shape (system message, earlier turns); one is all that an audit needs. */
const MAX_FRAMES = 64;

const sha256 = (...parts: readonly unknown[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(JSON.stringify(part) ?? 'undefined').update('\n');
  return hash.digest('hex');
};

class DefinedTokenizer implements ChatTokenizer {
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  readonly vocabSize: number;
  readonly digest: string;
  readonly templateDigest: string | undefined;
  private readonly codec: TokenCodec;
  private readonly template: ChatTemplate | undefined;
  private readonly addBos: boolean;
  private readonly frames = new Map<string, TemplateFrame>();

  constructor(definition: TokenizerDefinition, options: TokenizerOptions) {
    const { tokenizerJson, bosId, chatTemplate, specialTokens } = definition;
    this.codec = createTokenCodec(tokenizerJson);
    this.vocabSize = this.codec.vocabSize;
    this.bosId = bosId;
    this.addBos = bosId !== undefined && (definition.addBos ?? this.codec.encodeWithSpecials('a')[0] === bosId);
    const variables = { ...specialTokens, ...options.templateVariables };
    this.template = chatTemplate === undefined ? undefined : parseChatTemplate(chatTemplate, variables);
    this.eosIds = [...new Set([...definition.eosIds, ...this.findEndOfTurn()])];
    this.digest = sha256(tokenizerJson, bosId, this.addBos, this.eosIds);
    this.templateDigest = chatTemplate === undefined ? undefined : sha256(chatTemplate, variables, TEMPLATE_DATE);
  }

  encode = (text: string): number[] => this.codec.encode(text);

  decode = (ids: readonly number[], options: { readonly skipSpecial?: boolean } = {}): string =>
    this.codec.decode(ids, options.skipSpecial ?? false);

  encodeRaw = (text: string): { tokenIds: number[]; instructionStart: number } => {
    const tokenIds = this.addBos ? this.withBos(this.encode(text)) : this.encode(text);
    const instructionStart = this.addBos ? 1 : 0;
    if (tokenIds.length === instructionStart)
      throw fault('PROMPT_EMPTY', 'The prompt has no text: give at least one token');
    return { tokenIds, instructionStart };
  };

  encodeChat = (messages: readonly ChatMessage[]): EncodedChat => {
    const asked = messages.findLastIndex(({ role }) => role === 'user');
    if (asked < 0) throw fault('REQUEST_INVALID', 'A chat needs a message with the role "user"');
    const frame = this.frameOf(messages, asked);
    const { text, tokenIds } = this.renderChat(messages);
    const { start, end } = findInstruction(tokenIds, frame);
    if (start >= end) throw fault('PROMPT_EMPTY', 'The last user message has no text that the chat template keeps');
    return { tokenIds, text, instructionStart: start, instructionEnd: end };
  };

  private renderChat(messages: readonly ChatMessage[]): { text: string; tokenIds: number[] } {
    if (!this.template)
      throw fault(
        'REQUEST_INVALID',
        'The model has no chat template (none in its GGUF metadata, tokenizer_config.json or chat_template.jinja). Send raw text, or add a template to its files',
      );
    const text = this.template.render(messages, true);
    const ids = this.encode(text);
    return { text, tokenIds: this.addBos || ids[0] === this.bosId ? this.withBos(ids) : ids };
  }

  /** `ids` with BOS in front exactly once, whether the template wrote it or not. */
  private withBos(ids: readonly number[]): number[] {
    const first = ids.findIndex((id) => id !== this.bosId);
    return this.bosId === undefined ? [...ids] : [this.bosId, ...ids.slice(first < 0 ? ids.length : first)];
  }

  private frameOf(messages: readonly ChatMessage[], asked: number): TemplateFrame {
    const withText = (content: string) =>
      messages.map((message, index) => (index === asked ? { ...message, content } : message));
    const shape = JSON.stringify(withText(''));
    const known = this.frames.get(shape);
    if (known) return known;
    const [probe, other] = PROBES.map((content) => this.renderChat(withText(content)).tokenIds);
    const frame = measureFrame(probe!, other!);
    if (this.frames.size >= MAX_FRAMES) this.frames.delete(this.frames.keys().next().value!);
    this.frames.set(shape, frame);
    return frame;
  }

  /** The special token that the template writes after an answer, if it writes one. */
  private findEndOfTurn(): number[] {
    const [question, answer] = PROBES;
    const turns = [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ];
    try {
      const text = this.template?.render(turns, false) ?? '';
      const after = text.slice(text.lastIndexOf(answer) + answer.length).trimStart();
      const [first] = text.includes(answer) ? this.encode(after) : [];
      return first !== undefined && first !== this.bosId && this.codec.isAdded(first) ? [first] : [];
    } catch {
      return []; // a template that takes no answers says nothing about how they end
    }
  }
}

/** Faults: TENSOR_FILE_UNSUPPORTED when the definition or the template uses what cannot be read. */
export const createChatTokenizer = (definition: TokenizerDefinition, options: TokenizerOptions = {}): ChatTokenizer =>
  new DefinedTokenizer(definition, options);
