/** What both engines promise of blobs. */
import { randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { contentId } from '../../../../shared/bus/content-id.js';
import { bytes, createKit, type OpenBus, refusal, text } from './kit.js';

export const describeBlobs = (engine: string, openBus: OpenBus): void => {
  describe(`blobs, ${engine}`, () => {
    const { newBus } = createKit(openBus);
    it('keeps large bytes under their digest, once', async () => {
      const { blobs } = await newBus();
      const large = Buffer.alloc(20 * 1024 * 1024);
      for (let i = 0; i < large.length; i += 4) large.writeUInt32LE((i * 2654435761) >>> 0, i);
      const digest = await blobs.put(large);
      expect(digest).toBe(contentId(large));
      expect(await blobs.put(large)).toBe(digest);
      const back = await blobs.get(digest);
      expect(back === undefined ? undefined : contentId(back)).toBe(digest);
      expect(text(await blobs.get(await blobs.put(bytes('small'))))).toBe('small');
      expect((await blobs.get(await blobs.put(bytes(''))))?.length).toBe(0);
    });

    it('says undefined for a digest it does not have, and refuses what is no digest', async () => {
      const { blobs } = await newBus();
      expect(await blobs.get(contentId(bytes(`never put ${randomUUID()}`)))).toBeUndefined();
      await expect(blobs.get('../../etc/passwd')).rejects.toEqual(refusal('REQUEST_INVALID', /is no blob digest/));
    });
  });
};
