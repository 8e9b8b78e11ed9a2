/**
 * Checkpoints in a NATS key-value bucket. Reads go to the stream's leader, so that a coordinator that takes over sees the last write;
 * conditions are checked by the server. Prevents: a stale read after a fail-over, and a write of a process that lost its lease.
 */
import { randomUUID } from 'node:crypto';
import type { StoredMsg, StreamExpectations } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { Checkpoint, CheckpointChange, CheckpointStore, PutOptions } from '../bus.js';
import { assertRevisionOrFence, fenceLost, revisionConflict } from '../checkpoint-faults.js';
import { assertMessageSize } from '../message-limits.js';
import type { NatsLink } from './nats-link.js';
import { readStream } from './read-stream.js';
import { isWrongSequence } from './transient.js';

// The headers of NATS key-value buckets.
const OPERATION = 'KV-Operation';
const DELETED = 'DEL';
const MESSAGE_ID = 'Nats-Msg-Id';

export class NatsCheckpointStore implements CheckpointStore {
  private readonly stream: string;

  constructor(
    private readonly link: NatsLink,
    readonly bucket: string,
  ) {
    this.stream = link.subjects.checkpointStream(bucket);
  }

  async get(key: string): Promise<Checkpoint | undefined> {
    const message = await this.last(key);
    if (message === null || isDeletion(message)) return undefined;
    return { key, value: message.data, revision: message.seq };
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<number> {
    assertMessageSize(`The checkpoint "${key}"`, value);
    return this.write(key, value, undefined, options);
  }

  async list(prefix: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const change of this.changes(prefix, false)) if (change.value !== undefined) keys.push(change.key);
    return keys.sort();
  }

  async delete(key: string, options: PutOptions = {}): Promise<void> {
    assertRevisionOrFence(options);
    if (options.fence === undefined && (await this.get(key)) === undefined) return;
    await this.write(key, new Uint8Array(), DELETED, options);
  }

  async *watch(prefix: string, signal: AbortSignal): AsyncGenerator<CheckpointChange> {
    const startedAt = await this.lastRevision();
    for await (const change of this.changes(prefix, true, signal)) {
      // Deleted before the watch began: nothing that anyone could have known of.
      if (change.value !== undefined || change.revision > startedAt) yield change;
    }
  }

  private async *changes(prefix: string, follow: boolean, signal?: AbortSignal): AsyncGenerator<CheckpointChange> {
    const subject = this.link.subjects.checkpointsBelow(this.bucket, prefix);
    for await (const message of readStream(this.link, {
      stream: this.stream,
      subject,
      fromSequence: 1,
      follow,
      signal,
    })) {
      const key = this.link.subjects.checkpointKey(this.bucket, message.subject);
      yield { key, value: isDeletion(message) ? undefined : message.data, revision: message.seq };
    }
  }

  private async write(
    key: string,
    value: Uint8Array,
    operation: string | undefined,
    options: PutOptions,
  ): Promise<number> {
    assertRevisionOrFence(options);
    const subject = this.link.subjects.checkpoint(this.bucket, key);
    const writeId = randomUUID();
    const expect = await this.expectation(key, options);
    return this.link.persist(`Writing the checkpoint "${key}"`, async () => {
      const header = headers();
      if (operation !== undefined) header.set(OPERATION, operation);
      try {
        return (await this.link.js.publish(subject, value, { headers: header, msgID: writeId, expect })).seq;
      } catch (thrown) {
        if (!isWrongSequence(thrown)) throw thrown;
        return this.revisionIfWritten(key, writeId, options);
      }
    });
  }

  private async expectation(key: string, { revision, fence }: PutOptions): Promise<Partial<StreamExpectations>> {
    if (fence !== undefined) {
      const subject = this.link.subjects.checkpoint(this.bucket, fence.key);
      return { lastSubjectSequence: fence.revision, lastSubjectSequenceSubject: subject };
    }
    if (revision === undefined) return {};
    if (revision !== 0) return { lastSubjectSequence: revision };
    // "There is no such key" also holds for a deleted one, whose marker has a sequence.
    const message = await this.last(key);
    if (message === null) return { lastSubjectSequence: 0 };
    if (!isDeletion(message)) throw revisionConflict(this.bucket, key, 0);
    return { lastSubjectSequence: message.seq };
  }

  /** A refusal after a lost answer: the value that is there may be this very write. @throws REVISION_CONFLICT */
  private async revisionIfWritten(key: string, writeId: string, options: PutOptions): Promise<number> {
    const message = await this.last(key);
    if (message?.header.get(MESSAGE_ID) === writeId) return message.seq;
    if (options.fence !== undefined) throw fenceLost(this.bucket, key);
    throw revisionConflict(this.bucket, key, options.revision ?? 0);
  }

  private last(key: string): Promise<StoredMsg | null> {
    const query = { last_by_subj: this.link.subjects.checkpoint(this.bucket, key) };
    return this.link.persist(`Reading the checkpoint "${key}"`, () =>
      this.link.manager.streams.getMessage(this.stream, query),
    );
  }

  private async lastRevision(): Promise<number> {
    const info = await this.link.persist('Reading a bucket', () => this.link.manager.streams.info(this.stream));
    return info.state.last_seq;
  }
}

const isDeletion = (message: StoredMsg): boolean => message.header.get(OPERATION) !== '';
