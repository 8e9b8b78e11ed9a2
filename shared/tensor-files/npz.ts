/**
 * A numpy .npz archive as a TensorSource. Opening reads the zip directory and the arrays' headers. Stored arrays are read by range
 * straight from the file; a deflated array is inflated whole, and the last one is kept, so that ranges of rows of one array cost one
 * inflation. Its memory is bounded by what the file's directory declares and by 2 GiB.
 */
import { BoundedFile, type ByteSource } from './bounded-file.js';
import { MAX_NPY_START_BYTES, type NpyHeader, parseNpyHeader } from './npy-header.js';
import { type PlainTensor, type PlainType, readPlainColumns, readPlainRange } from './plain-tensor.js';
import { corruptFile, pickleRefused, quoted, unsupportedFile } from './tensor-file-faults.js';
import {
  countElements,
  type RowRange,
  resolveColumns,
  resolveRows,
  type TensorInfo,
  type TensorSource,
  tensorNotFound,
} from './tensor-source.js';
import { readZipDirectory, type ZipEntry } from './zip-directory.js';
import { inflateEntry, inflateStart } from './zip-inflate.js';

const MAX_ARRAYS = 1024;
const MAX_INFLATED_BYTES = 2 ** 31;
/** Stored bytes tried for a deflated header: enough for every header that numpy writes, and at most 0.5 MB inflated. */
const DEFLATED_HEADER_BYTES = 512;

const PLAIN_TYPES: ReadonlyMap<string, PlainType> = new Map([
  ['<f2', 'F16'],
  ['<f4', 'F32'],
  ['<f8', 'F64'],
]);

interface NpzArray {
  readonly info: TensorInfo;
  readonly entry: ZipEntry;
  readonly header: NpyHeader;
}

export class NpzFile implements TensorSource {
  private readonly arrays: ReadonlyMap<string, NpzArray>;
  private inflated: { readonly name: string; readonly source: ByteSource } | undefined;

  constructor(private readonly source: BoundedFile) {
    this.arrays = readArrays(source);
  }

  get path(): string {
    return this.source.path;
  }

  list(): readonly TensorInfo[] {
    return [...this.arrays.values()].map(({ info }) => info);
  }

  has(name: string): boolean {
    return this.arrays.has(name);
  }

  info(name: string): TensorInfo {
    return this.array(name).info;
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const array = this.array(name);
    const range = resolveRows(array.info, rows);
    const tensor = this.plain(array);
    if (!isColumnMajor(array)) return readPlainRange(tensor, range);
    // Rows of a column-major matrix are the columns of its transpose, which is what lies in the file.
    const first = rows?.start ?? 0;
    return readPlainColumns(
      tensor,
      Array.from({ length: range.rowCount }, (_, i) => first + i),
    );
  }

  readColumns(name: string, columns: readonly number[]): Float32Array {
    const array = this.array(name);
    const { rowCount } = resolveColumns(array.info, columns);
    if (!isColumnMajor(array)) return readPlainColumns(this.plain(array), columns);
    const tensor = this.plain(array);
    const out = new Float32Array(columns.length * rowCount);
    columns.forEach((column, k) => {
      out.set(readPlainRange(tensor, resolveRows(tensor.info, { start: column, count: 1 })), k * rowCount);
    });
    return out;
  }

  close(): void {
    this.inflated = undefined;
    this.source.close();
  }

  private array(name: string): NpzArray {
    const array = this.arrays.get(name);
    if (!array) throw tensorNotFound(this.path, name, this.arrays.keys());
    return array;
  }

  /** The array as it lies in its bytes: of a column-major matrix that is the transpose. */
  private plain(array: NpzArray): PlainTensor {
    const { info, entry, header } = array;
    const field = `array ${quoted(info.name)}`;
    if (info.dtype.startsWith('|O')) throw pickleRefused(this.path, field);
    const type = PLAIN_TYPES.get(info.dtype);
    if (!type) throw unsupportedFile(this.path, `the dtype of ${field}`, info.dtype, '<f4, <f2 and <f8 are.');
    if (header.fortranOrder && info.shape.length > 2)
      throw unsupportedFile(
        this.path,
        `the order of ${field}`,
        'column-major',
        'Save it with numpy.ascontiguousarray.',
      );
    const { shape } = info;
    return {
      source: entry.compressed ? this.inflate(array) : this.source,
      offset: (entry.compressed ? 0 : entry.dataOffset) + header.dataStart,
      type,
      info: isColumnMajor(array) ? { ...info, shape: [shape[1]!, shape[0]!] } : info,
    };
  }

  private inflate({ info, entry }: NpzArray): ByteSource {
    if (this.inflated?.name === info.name) return this.inflated.source;
    if (entry.length > MAX_INFLATED_BYTES)
      throw unsupportedFile(
        this.path,
        `the inflated length of array ${quoted(info.name)}`,
        entry.length,
        `At most ${MAX_INFLATED_BYTES} bytes are inflated. Save with numpy.savez, which does not compress.`,
      );
    this.inflated = undefined;
    const bytes = inflateEntry(this.source, entry);
    // The length was checked when the header was parsed: no range of rows can leave it.
    const source: ByteSource = {
      readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
    };
    this.inflated = { name: info.name, source };
    return source;
  }
}

const isColumnMajor = ({ header }: NpzArray): boolean => header.fortranOrder && header.shape.length === 2;

const readArrays = (source: BoundedFile): ReadonlyMap<string, NpzArray> => {
  const entries = readZipDirectory(source);
  if (entries.some(({ name }) => name === 'data.pkl' || name.endsWith('/data.pkl')))
    throw pickleRefused(source.path, 'the zip file');
  const members = entries.filter(({ name }) => name.endsWith('.npy'));
  if (members.length > MAX_ARRAYS)
    throw corruptFile(source.path, 'the array count', members.length, `it must be at most ${MAX_ARRAYS}`);
  const arrays = new Map<string, NpzArray>();
  for (const entry of members) {
    const name = entry.name.slice(0, -'.npy'.length);
    if (arrays.has(name))
      throw corruptFile(source.path, `array ${quoted(name)}`, 'given twice', 'names must be unique');
    arrays.set(name, readArray(source, name, entry));
  }
  return arrays;
};

const readArray = (source: BoundedFile, name: string, entry: ZipEntry): NpzArray => {
  const start = entry.compressed
    ? inflateStart(source, entry, DEFLATED_HEADER_BYTES).subarray(0, MAX_NPY_START_BYTES)
    : source.read(entry.dataOffset, Math.min(entry.length, MAX_NPY_START_BYTES), `array ${quoted(name)}`);
  const header = parseNpyHeader(source.path, name, start);
  const { dtype, shape } = header;
  const byteLength = entry.length - header.dataStart;
  const size = itemBytes(dtype);
  const expected = size === undefined ? byteLength : size * countElements(source.path, name, shape);
  if (byteLength !== expected)
    throw corruptFile(
      source.path,
      `the length of array ${quoted(name)}`,
      byteLength,
      `${dtype} [${shape}] takes ${expected}`,
    );
  const addressable = !entry.compressed && !(header.fortranOrder && shape.length > 1);
  const place = addressable ? { file: source.path, offset: entry.dataOffset + header.dataStart } : {};
  return { info: { name, dtype, shape, byteLength, ...place }, entry, header };
};

/** Bytes a value of numpy's fixed-size dtypes; undefined for the others, whose arrays are listed but not read. */
const itemBytes = (dtype: string): number | undefined => {
  const match = /^[<>|][biufc](\d{1,2})$/.exec(dtype);
  return match ? Number(match[1]) : undefined;
};

/**
 * Opens a .npz file with stored or deflated arrays. Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED
 * (encrypted, another compression, a PyTorch pickle).
 */
export const openNpz = (path: string): NpzFile => {
  const source = BoundedFile.open(path);
  try {
    return new NpzFile(source);
  } catch (problem) {
    source.close();
    throw problem;
  }
};
