/** What a service is told about its NATS server. */
import type { Logger } from '../../log/create-logger.js';

export type SharedPart = 'events' | 'blobs';

export interface NatsSettings {
  /** Such as "nats://nats:4222" or "tls://nats:4222"; tried in turn. */
  readonly servers: readonly string[];
  /** First word of every subject and stream. Letters, digits, `_`, `-`. Default "refusal". */
  readonly namespace?: string;
  readonly logger: Logger;
  /** Shown in the server's connection list and part of its inbox, such as "inference". Letters, digits, `_`, `-`. */
  readonly clientName?: string;
  /** Which of the shared streams it creates and uses; its rights on the server need cover no other. Default both. */
  readonly shares?: readonly SharedPart[];
  /** A .creds file, read again at every connection, so that a rotated one is taken without a restart. */
  readonly credentialsFile?: string;
  readonly user?: string;
  readonly password?: string;
  /** PEM files, read again at every connection. */
  readonly tls?: { readonly caFile?: string; readonly certFile?: string; readonly keyFile?: string };
  /** Copies of each stream: 1, 3 or 5. Default 1. */
  readonly replicas?: number;
  /** How long the first connection is tried. Default 30 s. Later ones are tried for ever. */
  readonly connectLimitMs?: number;
  /** How long a call waits for a server that is away before it fails. Default 100 s: below the server's duplicate window. */
  readonly callLimitMs?: number;
}
