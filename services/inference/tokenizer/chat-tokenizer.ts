/** What the rest of the inference service knows of a tokenizer. Token ids are plain integers in [0, vocabSize). */

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

/** A chat prompt as tokens. [instructionStart, instructionEnd) are the positions of the last user message's own tokens. */
export interface EncodedChat {
  readonly tokenIds: number[];
  /** What the chat template gave, before BOS was added where the template leaves it out. */
  readonly text: string;
  readonly instructionStart: number;
  readonly instructionEnd: number;
}

export interface ChatTokenizer {
  /** Ids of `text` alone: no BOS, no EOS. Special tokens written out in the text become their ids. */
  encode(text: string): number[];
  /** Text of `ids`. Faults: REQUEST_INVALID for an id outside the vocabulary. */
  decode(ids: readonly number[], options?: { readonly skipSpecial?: boolean }): string;
  /**
   * A chat up to where the answer starts. BOS is there exactly once if the template or the tokenizer's config asks for it.
   * Faults: PROMPT_EMPTY, REQUEST_INVALID (no chat template, no user message, a role that the template refuses).
   */
  encodeChat(messages: readonly ChatMessage[]): EncodedChat;
  /** Text without a template; BOS in front only where the tokenizer's config says so. Faults: PROMPT_EMPTY. */
  encodeRaw(text: string): { readonly tokenIds: number[]; readonly instructionStart: number };
  readonly bosId: number | undefined;
  /** Ids that end an answer: EOS and the template's end of turn. */
  readonly eosIds: readonly number[];
  /** Ids that the tokenizer knows; a model's logits may be padded beyond it. */
  readonly vocabSize: number;
  /** SHA-256 (hex) of everything that decides the ids. */
  readonly digest: string;
  /** SHA-256 (hex) of the chat template and of the values it is given; undefined without a template. */
  readonly templateDigest: string | undefined;
}

/** Everything a tokenizer is made from, whatever files it came from. */
export interface TokenizerDefinition {
  /** In the form of tokenizer.json. */
  readonly tokenizerJson: TokenizerJson;
  readonly bosId: number | undefined;
  readonly eosIds: readonly number[];
  /** Whether raw text starts with BOS; undefined: what the post-processor in tokenizerJson does. */
  readonly addBos: boolean | undefined;
  /** Jinja source. */
  readonly chatTemplate: string | undefined;
  /** bos_token, eos_token and so on, for the chat template. */
  readonly specialTokens: Readonly<Record<string, string>>;
}

/** The parts of tokenizer.json that this project looks into; the rest is passed to the library as it is. */
export interface TokenizerJson {
  readonly added_tokens: readonly AddedToken[];
  readonly normalizer: object | null;
  readonly pre_tokenizer: object | null;
  readonly post_processor: object | null;
  readonly decoder: object | null;
  readonly model: { readonly type: string; readonly vocab: object };
}

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly single_word?: boolean;
  readonly lstrip?: boolean;
  readonly rstrip?: boolean;
  readonly normalized?: boolean;
  readonly special?: boolean;
}
