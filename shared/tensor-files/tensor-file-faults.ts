/**
 * The wording of every refusal of a tensor file: file, field, what was given, what the limit is, what to do. Text from inside a
 * file is quoted and cut here, so that a hostile name can neither break a log line nor fill it.
 */
import { type Fault, fault } from '../errors/fault.js';

const MAX_QUOTED_CHARACTERS = 80;

/** A string from a file as it may stand in an error text: quoted, control characters escaped, at most 80 characters. */
export const quoted = (text: string): string =>
  JSON.stringify(text.length > MAX_QUOTED_CHARACTERS ? `${text.slice(0, MAX_QUOTED_CHARACTERS)}...` : text);

const given = (value: unknown): string => (typeof value === 'string' ? quoted(value) : String(value));

/** `field` holds `value`, which breaks the rule `limit` ("must be ..."): the file is damaged, cut short or hostile. */
export const corruptFile = (path: string, field: string, value: unknown, limit: string, cause?: unknown): Fault =>
  fault('TENSOR_FILE_CORRUPT', `${path}: ${field} is ${given(value)}; ${limit}. Fetch or write the file again.`, {
    cause,
    details: { file: path, field, given: given(value), limit },
  });

/** `field` holds `value`, which is sound but not read here; `hint` says what is read or how to convert. */
export const unsupportedFile = (path: string, field: string, value: unknown, hint: string): Fault =>
  fault('TENSOR_FILE_UNSUPPORTED', `${path}: ${field} is ${given(value)}, which is not read here. ${hint}`, {
    details: { file: path, field, given: given(value) },
  });

/** The refusal of PyTorch's .pt, .pth and .bin files and of object arrays. */
export const pickleRefused = (path: string, field: string): Fault =>
  unsupportedFile(
    path,
    field,
    'a pickle',
    'Loading a pickle can run any code. Where you trust it, convert it to safetensors: ' +
      'safetensors.torch.save_file(torch.load(FILE, weights_only=True), "model.safetensors").',
  );
