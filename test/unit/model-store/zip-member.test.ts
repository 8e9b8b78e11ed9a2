import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { extractZipMember } from '../../../shared/model-store/zip-member.js';
import { scratchFolder } from '../../fixtures/scratch-folder.js';

const folder = scratchFolder('zip-member');
const content = Buffer.from('the weights '.repeat(10_000));
const hash = createHash('sha256').update(content).digest('hex');

const extract = (zip: Uint8Array, expectedBytes = content.length) => {
  writeFileSync(join(folder, 'a.zip'), zip);
  return extractZipMember(join(folder, 'a.zip'), 'w.gguf', join(folder, 'out'), { expectedBytes });
};

const zip = (level: 0 | 6) => zipSync({ 'a.txt': Buffer.from('a'), 'pkg/w.gguf': [content, { level }] });

/** A copy with one field of the member's file-list entry overwritten. */
const patched = (offset: number, value: number): Uint8Array => {
  const bytes = Buffer.from(zip(6));
  const entry = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
  bytes.writeUInt32LE(value, entry + offset);
  return bytes;
};

describe('one member of a zip', () => {
  it.each([0, 6] as const)('comes out byte for byte at level %i', async (level) => {
    expect(await extract(zip(level))).toBe(hash);
    expect(readFileSync(join(folder, 'out')).equals(content)).toBe(true);
  });

  it.each([
    ['is empty', new Uint8Array(), /22 bytes|no file list|wanted/],
    ['is cut short', zip(6).subarray(0, 400), /no file list/],
    ['is no zip at all', Buffer.from('<html>not found</html>'.repeat(20)), /no file list/],
    ['lacks the member', zipSync({ 'x.gguf': content }), /holds no w\.gguf/],
    ['lies about the unpacked size', patched(24, 5), /has 5 bytes in it, expected 120000/],
    ['points past the end', patched(42, 0x7fffffff), /bytes wanted at/],
  ])('is a fault when the archive %s', async (_name, bytes, text) => {
    await expect(extract(bytes)).rejects.toMatchObject({
      code: 'TENSOR_FILE_CORRUPT',
      message: expect.stringMatching(text),
    });
  });

  it('is a fault when the packed bytes are damaged', async () => {
    const bytes = Buffer.from(zip(6));
    bytes.fill(0xff, 120, 200);
    await expect(extract(bytes)).rejects.toMatchObject({
      code: 'TENSOR_FILE_CORRUPT',
      message: expect.stringContaining('does not unpack (Z_'),
    });
  });

  it('never writes more than it claims', async () => {
    await expect(extract(patched(24, 100), 100)).rejects.toMatchObject({
      code: 'TENSOR_FILE_CORRUPT',
      message: expect.stringContaining('unpacks to more than it says'),
    });
  });
});
