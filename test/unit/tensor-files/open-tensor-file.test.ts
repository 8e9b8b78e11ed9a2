import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isFault } from '../../../shared/errors/fault.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { sha256OfFile } from '../../../shared/tensor-files/sha256-of-file.js';
import { expectFault, fixtureBytes, fixturePath, tensorFolder } from './tensor-fixtures.js';

const scratch = tensorFolder();

describe('openTensorFile', () => {
  it.each([
    ['quants.gguf', 'F16.weight'],
    ['single.safetensors', 'bf16'],
    ['sharded', 'layer.2.weight'],
    ['sharded/model.safetensors.index.json', 'layer.1.weight'],
    ['stored.npz', 'fortran'],
  ])('opens %s by itself', (name, tensor) => {
    const file = openTensorFile(fixturePath(name));
    const [rows, width] = file.info(tensor).shape as [number, number];
    expect(file.readFloat32(tensor)).toHaveLength(rows * width);
    file.close();
  });

  it.each(['quants.gguf', 'single.safetensors', 'stored.npz'])('knows %s by its bytes under any name', (name) => {
    openTensorFile(scratch.write('weights', fixtureBytes(name))).close();
    openTensorFile(scratch.write('pytorch_model.bin', fixtureBytes(name))).close();
  });

  it('takes a safetensors header of 640 bytes for what it is, though it starts like a pickle', () => {
    const header = JSON.stringify({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4] } }).padEnd(640);
    const bytes = Buffer.concat([Buffer.from([0x80, 0x02, 0, 0, 0, 0, 0, 0]), Buffer.from(header), Buffer.alloc(4)]);
    const file = openTensorFile(scratch.write('model', bytes));
    expect(file.has('a')).toBe(true);
    file.close();
  });

  it.each([
    ['weights', Buffer.from([0x80, 0x02, 0x7d, 0x71])],
    ['model.pt', Buffer.from('anything')],
    ['pytorch_model.bin', Buffer.alloc(0)],
    ['ae.pth', Buffer.alloc(64)],
  ])('refuses a pickle with a hint: %s', (name, bytes) => {
    expectFault(
      () => openTensorFile(scratch.write(name, bytes)),
      'TENSOR_FILE_UNSUPPORTED',
      /is "a pickle".*safetensors\.torch\.save_file/,
    );
  });

  it('names a damaged file by the format that its name promises', () => {
    const damaged = (name: string) => () => openTensorFile(scratch.write(name, '<html>404</html>'));
    expectFault(damaged('m.gguf'), 'TENSOR_FILE_CORRUPT', /a GGUF file starts with "GGUF"/);
    expectFault(damaged('m.safetensors'), 'TENSOR_FILE_CORRUPT', /header length/);
    expectFault(damaged('m.npz'), 'TENSOR_FILE_CORRUPT', /zip file/);
    expectFault(
      damaged('m.txt'),
      'TENSOR_FILE_UNSUPPORTED',
      /start of the file is "3c68746d6c3e343034".*GGUF, safetensors and npz/,
    );
  });

  it('does not wait for a pipe, and names what is missing', () => {
    execFileSync('mkfifo', [join(scratch.path, 'pipe.gguf')]);
    expectFault(() => openTensorFile(join(scratch.path, 'pipe.gguf')), 'FILE_NOT_FOUND', /not a regular file/);
    expectFault(() => openTensorFile('/no/such/file.gguf'), 'FILE_NOT_FOUND', /\/no\/such\/file.gguf cannot be read/);
    expectFault(() => openTensorFile('nul\0byte'), 'FILE_NOT_FOUND', /cannot be read/);
  });
});

describe('sha256OfFile', () => {
  const bytes = Buffer.alloc(3_000_001, 'refusal');

  it('gives the digest of the bytes and reports its progress up to the size', async () => {
    const path = scratch.write('hashed', bytes);
    const seen: number[] = [];
    const digest = await sha256OfFile(path, { onProgress: (done, total) => seen.push(done / total) });
    expect(digest).toBe(createHash('sha256').update(bytes).digest('hex'));
    expect(seen.length).toBeGreaterThan(1);
    expect(seen.at(-1)).toBe(1);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
  });

  it('gives the digest of nothing for an empty file', async () => {
    expect(await sha256OfFile(scratch.write('empty', ''))).toBe(createHash('sha256').digest('hex'));
  });

  it('faults on a missing file and on a folder, and can be cancelled', async () => {
    const failure = (promise: Promise<string>) =>
      promise.then(
        () => undefined,
        (problem: unknown) => problem,
      );
    expect(isFault(await failure(sha256OfFile('/no/such')), 'FILE_NOT_FOUND')).toBe(true);
    expect(isFault(await failure(sha256OfFile(scratch.path)), 'FILE_NOT_FOUND')).toBe(true);
    const cancelled = sha256OfFile(scratch.write('hashed', bytes), { signal: AbortSignal.abort() });
    expect(isFault(await failure(cancelled), 'CANCELLED')).toBe(true);
  });
});
