/**
 * Reads tokenizer.model, a protobuf message of SentencePiece (sentencepiece_model.proto: ModelProto). Fields that decide ids
 * and are not handled (a normalization table) are refused, never passed over.
 */
import { BinaryReader, type WireType } from '@bufbuild/protobuf/wire';
import { fault } from '../../../shared/errors/fault.js';
import { PIECE, type SentencePieces } from './sentence-pieces.js';

/** As many tokens as no tokenizer has; bounds what a hostile file can make us allocate. */
const MAX_PIECES = 2_000_000;
/** TrainerSpec.ModelType; the models served here all use BPE, and the tokenizer library has no byte fallback for unigram. */
const MODEL_TYPES = ['of no type', 'unigram', 'BPE', 'word', 'char'];
const BPE = 2;

/** Calls `read` with each field of a message; a field that it does not read is skipped. */
const readFields = (bytes: Uint8Array, read: (field: number, reader: BinaryReader) => boolean): void => {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (!read(field, reader)) reader.skip(wireType as WireType, field);
  }
};

const readPiece = (bytes: Uint8Array): { piece: string; score: number; type: number } => {
  const found = { piece: '', score: 0, type: PIECE.normal as number };
  readFields(bytes, (field, reader) => {
    if (field === 1) found.piece = reader.string();
    else if (field === 2) found.score = reader.float();
    else if (field === 3) found.type = reader.int32();
    else return false;
    return true;
  });
  return found;
};

const readModelType = (bytes: Uint8Array): number => {
  let type = 1;
  readFields(bytes, (field, reader) => {
    if (field !== 3) return false;
    type = reader.int32();
    return true;
  });
  return type;
};

const readNormalizer = (
  bytes: Uint8Array,
): { tableBytes: number; addSpacePrefix: boolean; removeExtraSpaces: boolean } => {
  const found = { tableBytes: 0, addSpacePrefix: true, removeExtraSpaces: true };
  readFields(bytes, (field, reader) => {
    if (field === 2) found.tableBytes = reader.bytes().length;
    else if (field === 3) found.addSpacePrefix = reader.bool();
    else if (field === 4) found.removeExtraSpaces = reader.bool();
    else return false;
    return true;
  });
  return found;
};

const readModel = (bytes: Uint8Array) => {
  const rows: ReturnType<typeof readPiece>[] = [];
  let modelType = 1;
  let normalizer = readNormalizer(new Uint8Array());
  readFields(bytes, (field, reader) => {
    if (field === 1) rows.push(readPiece(reader.bytes()));
    else if (field === 2) modelType = readModelType(reader.bytes());
    else if (field === 3) normalizer = readNormalizer(reader.bytes());
    else return false;
    if (rows.length > MAX_PIECES) throw new Error(`more than ${MAX_PIECES} pieces`);
    return true;
  });
  if (rows.length === 0) throw new Error('it holds no pieces');
  return { rows, modelType, normalizer };
};

/** Faults: TENSOR_FILE_CORRUPT for damaged bytes; TENSOR_FILE_UNSUPPORTED for other models than BPE and for normalization tables. */
export const parseSentencePieceModel = (bytes: Uint8Array, path: string): SentencePieces => {
  let model: ReturnType<typeof readModel>;
  try {
    model = readModel(bytes);
  } catch (cause) {
    throw fault('TENSOR_FILE_CORRUPT', `${path} is not a sound SentencePiece model: ${(cause as Error).message}`, {
      cause,
    });
  }
  const { rows, modelType, normalizer } = model;
  const name = MODEL_TYPES[modelType] ?? `number ${modelType}`;
  const trouble =
    modelType !== BPE ? `a ${name} model` : normalizer.tableBytes > 0 ? 'a normalization table' : undefined;
  if (trouble !== undefined)
    throw fault(
      'TENSOR_FILE_UNSUPPORTED',
      `${path} uses ${trouble}, which is not read; save the tokenizer as tokenizer.json and use that`,
    );
  return {
    pieces: rows.map(({ piece }) => piece),
    scores: rows.map(({ score }) => score),
    types: rows.map(({ type }) => type),
    addSpacePrefix: normalizer.addSpacePrefix,
    removeExtraSpaces: normalizer.removeExtraSpaces,
  };
};
