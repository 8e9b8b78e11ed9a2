/**
 * A SentencePiece BPE vocabulary as tokenizer.json. Such vocabularies come in GGUF files (`llama` kind) and in tokenizer.model;
 * they hold scores where tokenizer.json holds merges, and the merges are rebuilt the way Hugging Face's converter does, so that
 * ids agree with it.
 */
import type { AddedToken, TokenizerJson } from './chat-tokenizer.js';

/** The numbers that SentencePiece and GGUF both use. */
export const PIECE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

export interface SentencePieces {
  readonly pieces: readonly string[];
  readonly scores: readonly number[];
  readonly types: readonly number[];
  /** A space is put in front of each text. */
  readonly addSpacePrefix: boolean;
  /** Spaces at the ends go, runs of spaces become one. */
  readonly removeExtraSpaces: boolean;
}

type Merge = { readonly left: string; readonly right: string; readonly score: number };

const codePoints = (text: string): number => [...text].length;

/** All ways to put one piece together from two others, those with lower ids first. */
const mergesOf = (piece: string, score: number, ids: ReadonlyMap<string, number>): Merge[] => {
  const found: Merge[] = [];
  let at = 0;
  for (const character of piece) {
    at += character.length;
    const [left, right] = [piece.slice(0, at), piece.slice(at)];
    if (ids.has(left) && ids.has(right)) found.push({ left, right, score });
  }
  return found.sort((a, b) => ids.get(a.left)! - ids.get(b.left)! || ids.get(a.right)! - ids.get(b.right)!);
};

/** Best score first; then the longer left part, then the longer right part. */
export const buildMerges = (source: Pick<SentencePieces, 'pieces' | 'scores' | 'types'>): [string, string][] => {
  const mergeable = (id: number) =>
    source.types[id] !== PIECE.control && source.types[id] !== PIECE.unknown && source.types[id] !== PIECE.byte;
  const ids = new Map(source.pieces.flatMap((piece, id) => (mergeable(id) ? [[piece, id] as const] : [])));
  const merges = [...ids].flatMap(([piece, id]) => mergesOf(piece, source.scores[id] ?? 0, ids));
  merges.sort(
    (a, b) => b.score - a.score || codePoints(b.left) - codePoints(a.left) || codePoints(b.right) - codePoints(a.right),
  );
  return merges.map(({ left, right }) => [left, right]);
};

const buildModel = (source: SentencePieces): TokenizerJson['model'] => {
  const unknownId = Math.max(0, source.types.indexOf(PIECE.unknown));
  const byteFallback = source.types.includes(PIECE.byte);
  const model = {
    type: 'BPE',
    vocab: Object.fromEntries(source.pieces.map((piece, id) => [piece, id])),
    merges: buildMerges(source),
    unk_token: source.pieces[unknownId],
    fuse_unk: true,
    byte_fallback: byteFallback,
  };
  return model;
};

const SPACE = '\u2581';

const buildNormalizer = (source: SentencePieces): object => {
  const replace = (pattern: object, content: string) => ({ type: 'Replace', pattern, content });
  const trim = ['\\A +', ' +\\z'].map((regex) => replace({ Regex: regex }, ''));
  const normalizers = [
    ...(source.removeExtraSpaces ? [...trim, replace({ Regex: ' {2,}' }, ' ')] : []),
    // Not the Prepend rule, which also prepends to a text of which nothing is left.
    ...(source.addSpacePrefix ? [replace({ Regex: '\\A(?=[\\s\\S])' }, SPACE)] : []),
    replace({ String: ' ' }, SPACE),
  ];
  return { type: 'Sequence', normalizers };
};

const buildDecoder = (addSpacePrefix: boolean): object => {
  const strip = { type: 'Strip', content: ' ', start: 1, stop: 0 };
  const decoders = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  return { type: 'Sequence', decoders: addSpacePrefix ? [...decoders, strip] : decoders };
};

/** Control pieces are special tokens; user-defined ones are matched as a whole before anything else. */
export const buildAddedTokens = (pieces: readonly string[], types: readonly number[]): AddedToken[] =>
  pieces.flatMap((content, id) => {
    const type = types[id];
    if (type !== PIECE.control && type !== PIECE.userDefined && type !== PIECE.unknown) return [];
    return [{ id, content, special: type !== PIECE.userDefined, normalized: false }];
  });

export const buildSentencePieceJson = (source: SentencePieces): TokenizerJson => ({
  added_tokens: buildAddedTokens(source.pieces, source.types),
  normalizer: buildNormalizer(source),
  pre_tokenizer: null,
  post_processor: null,
  decoder: buildDecoder(source.addSpacePrefix),
  model: buildModel(source),
});
