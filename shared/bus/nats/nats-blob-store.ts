/**
 * Blobs in a NATS object store under their digest. Written by the store's own client; read in pages by sequence, because the client's
 * reader stands still for a minute when the server goes away in the middle.
 */
import { type ObjectStore, Objm } from '@nats-io/obj';
import type { BlobStore } from '../bus.js';
import { assertDigest, checkedBlob } from '../checked-blob.js';
import { contentId } from '../content-id.js';
import { assertBlobSize } from '../message-limits.js';
import type { NatsLink } from './nats-link.js';
import { readPage } from './read-stream.js';
import { BLOB_AGE_MS } from './streams.js';

export class NatsBlobStore implements BlobStore {
  private store: Promise<ObjectStore> | undefined;

  constructor(private readonly link: NatsLink) {}

  async put(bytes: Uint8Array): Promise<string> {
    assertBlobSize(bytes);
    const sha256 = contentId(bytes);
    await this.link.persist('Storing a blob', async () => {
      const store = await this.open();
      const info = await store.info(sha256);
      // One that is soon too old is written again, so that it outlives the work that names it.
      const isFresh = info !== null && !info.deleted && Date.now() - Date.parse(info.mtime) < BLOB_AGE_MS / 2;
      if (!isFresh) await store.putBlob({ name: sha256 }, bytes);
    });
    return sha256;
  }

  async get(sha256: string): Promise<Uint8Array | undefined> {
    assertDigest(sha256);
    return this.link.persist('Reading a blob', async (attempt) => {
      const info = await (await this.open()).info(sha256);
      if (info === null || info.deleted) return undefined;
      const bytes = await this.readChunks(info.nuid, info.size);
      // Shorter: another process wrote it again in the meantime, and its chunks have a new name.
      if (bytes.length < info.size && attempt < 3) throw new Error('the blob was written again while it was read');
      return checkedBlob(sha256, bytes);
    });
  }

  private async readChunks(nuid: string, size: number): Promise<Uint8Array> {
    const { blobBucket } = this.link.subjects;
    const place = { stream: `OBJ_${blobBucket}`, subject: `$O.${blobBucket}.C.${nuid}` };
    const bytes = Buffer.alloc(size);
    let filled = 0;
    let next = 1;
    while (filled < size) {
      const page = await readPage(this.link, place, next);
      if (page.length === 0) break;
      for (const { data, seq } of page) {
        bytes.set(data.subarray(0, size - filled), filled);
        filled += data.length;
        next = seq + 1;
      }
    }
    return bytes.subarray(0, filled);
  }

  private open(): Promise<ObjectStore> {
    this.store ??= new Objm(this.link.connection).open(this.link.subjects.blobBucket, false);
    return this.store;
  }
}
