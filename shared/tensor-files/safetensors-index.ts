/**
 * Finds the files of a safetensors model: a single file, a folder, or an index that spreads tensors over shards. An index may only
 * name files that lie beside it, so that a hostile one cannot make the reader open other files of the machine.
 */
import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fault } from '../errors/fault.js';
import { BoundedFile } from './bounded-file.js';
import { parseBoundedJson } from './json-bounds.js';
import { corruptFile, quoted } from './tensor-file-faults.js';

export interface ShardPlan {
  /** Paths of the files, each once. */
  readonly files: readonly string[];
  /** Path by tensor name; absent for a single file, where the file's own header says it all. */
  readonly fileOf?: ReadonlyMap<string, string>;
}

const SINGLE = 'model.safetensors';
const INDEX = 'model.safetensors.index.json';
const MAX_INDEX_BYTES = 100_000_000;
const BOUNDS = { maxDepth: 8, maxItems: 1_000_000, maxKeys: 1000 };
/** The largest published models have fewer than 200 shards; each holds a file descriptor. */
const MAX_SHARDS = 512;

/** Faults: FILE_NOT_FOUND (no such path, or a folder without safetensors), TENSOR_FILE_CORRUPT (a bad index). */
export const planShards = (path: string): ShardPlan => {
  if (isFolder(path)) return planFolder(path);
  return path.endsWith('.index.json') ? readIndex(path) : { files: [path] };
};

/** False for what cannot be looked at: opening it then says why. */
export const isFolder = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
};

const planFolder = (folder: string): ShardPlan => {
  const names = namesIn(folder).filter((name) => name.endsWith('.safetensors') || name === INDEX);
  if (names.includes(SINGLE)) return { files: [join(folder, SINGLE)] };
  if (names.includes(INDEX)) return readIndex(join(folder, INDEX));
  if (names.length === 1) return { files: [join(folder, names[0]!)] };
  throw fault(
    'FILE_NOT_FOUND',
    `${folder} has ${names.length} safetensors files and neither ${SINGLE} nor ${INDEX}. Name the file that is meant.`,
  );
};

const namesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder);
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `The folder ${folder} cannot be read. Check its permissions.`, { cause });
  }
};

const readIndex = (path: string): ShardPlan => {
  const map = readWeightMap(path);
  const fileOf = new Map<string, string>();
  for (const [name, shard] of Object.entries(map)) {
    if (typeof shard !== 'string' || shard === '' || basename(shard) !== shard || /^\.+$|[\\\0]/.test(shard))
      throw corruptFile(
        path,
        `the file of tensor ${quoted(name)}`,
        shard,
        'it must be the plain name of a file beside the index',
      );
    fileOf.set(name, join(dirname(path), shard));
  }
  const files = [...new Set(fileOf.values())];
  if (files.length === 0 || files.length > MAX_SHARDS)
    throw corruptFile(path, 'the number of shards', files.length, `it must be 1 to ${MAX_SHARDS}`);
  return { files, fileOf };
};

const readWeightMap = (path: string): object => {
  const file = BoundedFile.open(path);
  try {
    if (file.size > MAX_INDEX_BYTES)
      throw corruptFile(path, 'the size', file.size, `it must be at most ${MAX_INDEX_BYTES}`);
    const map = parseBoundedJson(path, 'the index', file.read(0, file.size, 'the index'), BOUNDS).weight_map;
    if (typeof map !== 'object' || map === null || Array.isArray(map))
      throw corruptFile(path, 'weight_map', typeof map, 'it must map tensor names to file names');
    return map;
  } finally {
    file.close();
  }
};
