/** The name of bytes: equal bytes have equal names, so that nothing is stored or computed twice. */
import { createHash } from 'node:crypto';

/** Lower-case hex sha256. */
export const contentId = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
