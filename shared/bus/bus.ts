/**
 * The bus: how work, events, checkpoints and large tensors travel between services. One interface with two engines: `createLocalBus`
 * (one process, nothing survives it) and `connectNatsBus` (NATS JetStream). One contract test runs on both.
 * Prevents: services that know which engine they run on.
 */
import type { FaultCode } from '../errors/fault.js';

export interface Bus {
  readonly engine: 'local' | 'nats';
  /** Opens the queue of that name and creates it if it is new. */
  workQueue(settings: WorkQueueSettings): Promise<WorkQueue>;
  /** @param bucket letters, digits, `_` and `-` */
  checkpoints(bucket: string): Promise<CheckpointStore>;
  readonly events: EventLog;
  readonly blobs: BlobStore;
  /** False while the server is away. Calls then wait for it; this is for readiness alone. */
  isConnected(): boolean;
  /** Stops what consumes and follows, sends what is buffered, and closes. */
  close(): Promise<void>;
}

export interface WorkQueueSettings {
  /** Letters, digits, `_` and `-`; at most 100. */
  readonly name: string;
  /** Items that wait or are worked on, at most. Beyond: BUSY. Default 10,000. */
  readonly maxItems?: number;
  /** The same for each requester. Default 1,000. */
  readonly maxItemsPerRequester?: number;
  /** How long outcomes can be asked for. Default 24 hours. */
  readonly outcomeAgeMs?: number;
}

export interface NewWork {
  /** Who asks: an audit or caller id. Letters, digits, `_` and `-`; at most 100. */
  readonly requester: string;
  readonly payload: Uint8Array;
  /** Two items with the same id are one. Default: the payload's sha256. */
  readonly id?: string;
  /** Tells a new try after a failure from a duplicate of the first one. Default: the id. */
  readonly dedupeId?: string;
  /** Such as `traceparent`. Not part of the id. */
  readonly headers?: Readonly<Record<string, string>>;
}

export interface PublishedWork {
  readonly id: string;
  /** True: an item with this dedupeId was already taken in. */
  readonly duplicate: boolean;
  /** For `holds` and `withdraw`. */
  readonly position: number;
}

export interface WorkItem {
  readonly id: string;
  readonly requester: string;
  readonly payload: Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
  /** 1 for the first time. */
  readonly delivery: number;
}

/**
 * Gives the result, or throws. A fault that is not retryable ends the item as a dead letter; anything else brings it back later.
 * The signal aborts if the consumer must stop before the handler is done.
 */
export type WorkHandler = (item: WorkItem, signal: AbortSignal) => Promise<Uint8Array>;

export interface ConsumeOptions {
  /** Items worked on at once. Default 1. */
  readonly concurrency?: number;
  /** An item whose worker shows no life for this long goes to another one. A running handler is kept alive. Default 30 s. */
  readonly ackWaitMs?: number;
  /** How often an item is handed out before it becomes a dead letter. Default 5. */
  readonly maxDeliver?: number;
  /** Wait before the second delivery, the third, and so on; the last one repeats. Default 1 s, 5 s, 30 s. */
  readonly backoffMs?: readonly number[];
  /** Told of each item's end here, for metrics. */
  readonly onSettled?: (outcome: keyof ConsumptionCounts) => void;
}

export interface ConsumptionCounts {
  readonly done: number;
  /** Answered from a stored outcome: a delivery that came twice. */
  readonly repeated: number;
  readonly retried: number;
  readonly dead: number;
}

export interface Consumption {
  /** Takes no new items, lets running handlers finish for `graceMs`, then aborts them: their items go back to the queue. */
  drain(graceMs: number): Promise<void>;
  counts(): ConsumptionCounts;
}

/** `sequence` grows with each outcome of a queue, so that a new failure can be told from an old one. */
export type StoredOutcome =
  | { readonly kind: 'done'; readonly sequence: number; readonly result: Uint8Array }
  | { readonly kind: 'failed'; readonly sequence: number; readonly failure: WorkFailure };

export interface WorkFailure {
  readonly code: FaultCode;
  readonly text: string;
  readonly deliveries: number;
}

export interface StoredDeadLetter {
  readonly workId: string;
  readonly requester: string;
  readonly failure: WorkFailure;
  readonly time: Date;
  readonly payload: Uint8Array;
}

export interface WorkQueue {
  readonly name: string;
  /** @throws BUSY when the queue or the requester's share of it is full; REQUEST_TOO_LARGE beyond MAX_MESSAGE_BYTES. */
  publish(work: NewWork): Promise<PublishedWork>;
  consume(handler: WorkHandler, options?: ConsumeOptions): Promise<Consumption>;
  outcome(id: string): Promise<StoredOutcome | undefined>;
  /** The same for many ids at once; those without an outcome are left out. One that is a moment old may be missing. */
  outcomes(ids: readonly string[]): Promise<ReadonlyMap<string, StoredOutcome>>;
  /** Hears outcomes from now on. For one that may be there already, ask `outcome` after this. */
  listen(id: string): OutcomeListener;
  /** Whether the item still waits or is worked on. */
  holds(position: number): Promise<boolean>;
  /** Takes back an item that nobody needs any more. One that is worked on is left to end with its outcome. */
  withdraw(position: number): Promise<void>;
  /** Oldest first, at most `limit`. */
  deadLetters(limit?: number): Promise<StoredDeadLetter[]>;
  load(): Promise<QueueLoad>;
}

export interface OutcomeListener {
  /** The first outcome after `afterSequence`; undefined if there is none within `limitMs`. @throws CANCELLED */
  next(options: NextOutcomeOptions): Promise<StoredOutcome | undefined>;
  close(): void;
}

export interface NextOutcomeOptions {
  /** Failures up to this one are old. Default 0. */
  readonly afterSequence?: number;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

export interface QueueLoad {
  /** Items that nobody works on yet. */
  readonly waiting: number;
  /** Items being worked on. */
  readonly running: number;
  /** Items that the workers of all pods can take at this moment, beyond those running. */
  readonly idleSlots: number;
}

export interface StoredEvent {
  /** 1, 2, 3, ... without gaps, per audit. */
  readonly sequence: number;
  /** A serialized AuditEvent. */
  readonly event: Uint8Array;
}

export interface ReadEventsOptions {
  /** Default 0: from the first. */
  readonly afterSequence?: number;
  /** Go on with new events until the signal aborts. Default false. */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

export interface EventLog {
  /**
   * Resolves once the event is stored. The same event again is no error.
   * @throws REVISION_CONFLICT if `sequence` is not the next one: another process writes this audit's events.
   */
  append(auditId: string, sequence: number, event: Uint8Array): Promise<void>;
  /** In order. Ends without an error when the signal aborts. */
  read(auditId: string, options?: ReadEventsOptions): AsyncIterable<StoredEvent>;
  remove(auditId: string): Promise<void>;
}

export interface Checkpoint {
  readonly key: string;
  readonly value: Uint8Array;
  /** Grows with every write to the bucket. */
  readonly revision: number;
}

/** A value that was put, or undefined for a key that was deleted. */
export interface CheckpointChange {
  readonly key: string;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

/** Proof of a lease: a write that carries it is refused once another process has taken the lease. */
export interface Fence {
  readonly key: string;
  readonly revision: number;
}

export interface PutOptions {
  /** Write only if this is the key's revision; 0: only if there is no such key. Not together with `fence`. */
  readonly revision?: number;
  /** Write only while this lease is the last one given out. The lock must live in the same bucket. */
  readonly fence?: Fence;
}

/** Keys are paths such as "a1/filter/3f2a": segments of letters, digits, `_`, `-` and `=`. */
export interface CheckpointStore {
  readonly bucket: string;
  get(key: string): Promise<Checkpoint | undefined>;
  /** Gives the new revision. @throws REVISION_CONFLICT; REQUEST_TOO_LARGE beyond MAX_MESSAGE_BYTES: use the blob store for those. */
  put(key: string, value: Uint8Array, options?: PutOptions): Promise<number>;
  /** Keys of this prefix path ("" for all), sorted. */
  list(prefix: string): Promise<string[]>;
  /** A key that is not there is no error. @throws REVISION_CONFLICT */
  delete(key: string, options?: PutOptions): Promise<void>;
  /** What is there now, then every change; changes that follow fast may come as the last one alone. Ends when the signal aborts. */
  watch(prefix: string, signal: AbortSignal): AsyncIterable<CheckpointChange>;
}

/** Large tensors, filed under the lower-case hex sha256 of their bytes. */
export interface BlobStore {
  put(bytes: Uint8Array): Promise<string>;
  /** Undefined if there is none. @throws CHECKPOINT_CORRUPT if the bytes do not have this digest. */
  get(sha256: string): Promise<Uint8Array | undefined>;
}
