/**
 * What every part of the NATS engine shares: the connection, its clients, the names, and one way to call that waits while the server is
 * away. Prevents: each part with its own idea of retry.
 */
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { fault, isFault } from '../../errors/fault.js';
import type { Logger } from '../../log/create-logger.js';
import { thrownIfAborted } from '../aborted.js';
import { createSubjects, inboxPrefixOf, type Subjects } from '../subjects.js';
import { sleep, waitAtMost } from '../wake-up.js';
import type { NatsSettings } from './nats-settings.js';
import { StreamKeeper } from './stream-keeper.js';
import { isForbidden, isMissing, isTransient } from './transient.js';

const CALL_LIMIT_MS = 100_000;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2_000;

export class NatsLink {
  readonly subjects: Subjects;
  readonly js: JetStreamClient;
  readonly streams: StreamKeeper;
  readonly logger: Logger;
  /** Of every subject on which answers come. */
  readonly inboxPrefix: string;
  private readonly closing = new AbortController();
  private readonly reconnectListeners = new Set<() => void>();
  private connected = true;

  private constructor(
    readonly connection: NatsConnection,
    readonly manager: JetStreamManager,
    private readonly settings: NatsSettings,
  ) {
    this.subjects = createSubjects(settings.namespace ?? 'refusal');
    this.inboxPrefix = inboxPrefixOf(settings.clientName ?? 'refusalscope');
    this.js = jetstream(connection);
    this.logger = settings.logger.child({ part: 'bus' });
    this.streams = new StreamKeeper(manager, settings.replicas ?? 1, this.logger);
    void this.followStatus();
  }

  static async open(connection: NatsConnection, settings: NatsSettings): Promise<NatsLink> {
    try {
      return new NatsLink(connection, await jetstreamManager(connection), settings);
    } catch (thrown) {
      await connection.close();
      throw fault('PEER_UNAVAILABLE', 'The NATS server has no JetStream for this account: start it with -js.', {
        cause: thrown,
      });
    }
  }

  get closed(): AbortSignal {
    return this.closing.signal;
  }

  isConnected(): boolean {
    return this.connected && !this.closing.signal.aborted;
  }

  /** Gives the function that ends it. */
  onReconnect(listener: () => void): () => void {
    this.reconnectListeners.add(listener);
    return () => this.reconnectListeners.delete(listener);
  }

  /**
   * Runs `call` until it succeeds, fails for good, or the limit is over. `call` must bear being run twice.
   * @throws PEER_UNAVAILABLE at the limit; CANCELLED; what `call` throws for good.
   */
  async persist<T>(what: string, call: (attempt: number) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const limitMs = this.settings.callLimitMs ?? CALL_LIMIT_MS;
    const deadline = performance.now() + limitMs;
    for (let attempt = 1; ; attempt++) {
      thrownIfAborted(signal);
      try {
        return await call(attempt);
      } catch (thrown) {
        if (isForbidden(thrown)) throw forbidden(what, thrown);
        if (isFault(thrown) || this.closing.signal.aborted || !isTransient(thrown)) throw thrown;
        if (performance.now() > deadline) throw this.away(what, limitMs, thrown);
        if (attempt === 1) this.logger.warn({ what, err: thrown }, 'bus call failed, trying again');
        if (isMissing(thrown)) await this.restoreStreams();
      }
      await sleep(pauseBefore(attempt), signal);
    }
  }

  /** Sends what is buffered, then closes. */
  async close(): Promise<void> {
    if (this.closing.signal.aborted) return;
    this.closing.abort();
    const drained = this.connection.drain().catch(() => this.connection.close());
    // A server that is away would keep the drain waiting for ever.
    await waitAtMost(drained, this.connected ? 5_000 : 100);
    await this.connection.close();
  }

  private async restoreStreams(): Promise<void> {
    try {
      await this.streams.restore();
    } catch (thrown) {
      // The next attempt comes here again.
      this.logger.warn({ err: thrown }, 'streams could not be checked');
    }
  }

  private away(what: string, limitMs: number, cause: unknown): Error {
    const seconds = Math.round(limitMs / 1000);
    return fault('PEER_UNAVAILABLE', `${what}: NATS did not answer within ${seconds} s. Check the server.`, { cause });
  }

  private async followStatus(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') {
        this.connected = false;
        this.logger.warn({ server: status.server }, 'NATS is away');
      } else if (status.type === 'reconnect') {
        this.connected = true;
        this.logger.info({ server: status.server }, 'NATS is back');
        for (const listener of this.reconnectListeners) listener();
      } else if (status.type === 'error') {
        this.logger.warn({ err: status.error }, 'NATS reports an error');
      } else if (status.type === 'slowConsumer') {
        this.logger.warn({ pending: status.pending }, 'messages come faster than they are read');
      }
    }
  }
}

const forbidden = (what: string, cause: Error): Error =>
  fault(
    'CONFIG_INVALID',
    `${what}: the NATS user of this service lacks a right (${cause.message}): see docs/security.md.`,
    {
      cause,
    },
  );

const pauseBefore = (attempt: number): number => {
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** (attempt - 1), LONGEST_PAUSE_MS);
  return pause * (0.5 + Math.random() / 2);
};
