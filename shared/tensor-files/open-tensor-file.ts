/**
 * Opens any weight file by what its first bytes are, and by its name only where they do not tell. Pickles are refused here, before
 * anything in them is looked at.
 */
import { extname } from 'node:path';
import { BoundedFile } from './bounded-file.js';
import { openGguf } from './gguf.js';
import { openNpz } from './npz.js';
import { openSafetensors } from './safetensors.js';
import { isFolder } from './safetensors-index.js';
import { pickleRefused, unsupportedFile } from './tensor-file-faults.js';
import type { TensorSource } from './tensor-source.js';

const MAGIC_BYTES = 9;
/** The opcode that opens a pickle of protocol 2 to 5. */
const PICKLE_PROTOCOL = 0x80;
const PICKLE_EXTENSIONS: ReadonlySet<string> = new Set(['.pt', '.pth', '.bin', '.ckpt', '.pkl', '.pickle']);

const OPENERS: ReadonlyMap<string, (path: string) => TensorSource> = new Map<string, (path: string) => TensorSource>([
  ['.gguf', openGguf],
  ['.safetensors', openSafetensors],
  ['.npz', openNpz],
]);

/**
 * A GGUF, safetensors (file, folder or index) or npz file. The caller closes it. Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT,
 * TENSOR_FILE_UNSUPPORTED.
 */
export const openTensorFile = (path: string): TensorSource => {
  if (isFolder(path) || path.endsWith('.index.json')) return openSafetensors(path);
  const start = firstBytes(path);
  const extension = extname(path).toLowerCase();
  const kind = formatOf(start) ?? (PICKLE_EXTENSIONS.has(extension) ? 'pickle' : extension);
  if (kind === 'pickle') throw pickleRefused(path, 'the file');
  const open = OPENERS.get(kind);
  if (open) return open(path);
  const hex = Buffer.from(start).toString('hex');
  throw unsupportedFile(path, 'the start of the file', hex, 'GGUF, safetensors and npz files are.');
};

const firstBytes = (path: string): Uint8Array => {
  const file = BoundedFile.open(path);
  try {
    return file.read(0, Math.min(file.size, MAGIC_BYTES), 'the first bytes');
  } finally {
    file.close();
  }
};

const formatOf = (start: Uint8Array): string | undefined => {
  const text = Buffer.from(start).toString('latin1');
  if (text.startsWith('GGUF')) return '.gguf';
  if (text.startsWith('PK\x03\x04') || text.startsWith('PK\x05\x06')) return '.npz';
  // A header below 4 GiB and the brace that opens it. Before pickles: a header of 640 bytes starts like a pickle of protocol 2.
  if (text.slice(4) === '\0\0\0\0{') return '.safetensors';
  const isPickle = start[0] === PICKLE_PROTOCOL && start[1]! >= 2 && start[1]! <= 5;
  return isPickle ? 'pickle' : undefined;
};
