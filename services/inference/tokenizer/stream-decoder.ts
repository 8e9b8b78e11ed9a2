/**
 * Text of a token stream, piece by piece. A character may take several tokens: its bytes are held back until they are all
 * there, so that no reader sees a broken character, and the pieces joined are the text of all ids at once.
 */
import type { ChatTokenizer } from './chat-tokenizer.js';

export interface StreamDecoder {
  /** The text that became certain with this token; '' while a character is incomplete. */
  push(id: number): string;
  /** What is still held back: bytes that no token completed. */
  end(): string;
}

/** What a decoder puts for bytes that are no character, or not yet: one for an unfinished character at the end. */
const REPLACEMENT = '\uFFFD';

export const createStreamDecoder = (
  tokenizer: Pick<ChatTokenizer, 'decode'>,
  options: { readonly skipSpecial?: boolean } = {},
): StreamDecoder => {
  // Tokens whose text is decoded anew with each push, and how much of that text was given out. The window starts one piece back,
  // since decoders treat the first token of a text differently (a leading space).
  let window: number[] = [];
  let given = 0;
  const give = (text: string): string => {
    const piece = text.slice(given);
    given = Math.max(given, text.length);
    return piece;
  };
  return {
    push: (id) => {
      window.push(id);
      const text = tokenizer.decode(window, options);
      if (text.endsWith(REPLACEMENT)) return give(text.slice(0, -1));
      const piece = give(text);
      if (piece !== '') {
        window = [id];
        given = tokenizer.decode(window, options).length;
      }
      return piece;
    },
    end: () => give(tokenizer.decode(window, options)),
  };
};
