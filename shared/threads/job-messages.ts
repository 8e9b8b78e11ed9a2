/** What a process and a thread of its own say to each other about jobs: plain data, copied. */
import { type Fault, type FaultCode, fault, isFault } from '../errors/fault.js';

/** What a kind of job takes, what it tells on the way, and what it gives. */
export interface JobType {
  readonly input: unknown;
  readonly event: unknown;
  readonly output: unknown;
}

/** Jobs by kind: `interface Jobs { fit: { input: ...; event: ...; output: ... } }`. */
export type JobTypes<Jobs> = { readonly [Kind in keyof Jobs]: JobType };

export interface JobRequest<Jobs extends JobTypes<Jobs>, Kind extends keyof Jobs = keyof Jobs> {
  readonly id: number;
  readonly kind: Kind;
  readonly input: Jobs[Kind]['input'];
  /** One int32 in shared memory, 1 once the caller gave up: what a job that never yields can look at. */
  readonly cancelled: Int32Array;
}

export type ToThread<Jobs extends JobTypes<Jobs>> =
  | JobRequest<Jobs>
  | { readonly id: number; readonly cancel: true }
  | { readonly stop: true };

export interface PlainFault {
  readonly code: FaultCode;
  readonly message: string;
  readonly details: Fault['details'];
}

export type Failure = { readonly fault: PlainFault } | { readonly defect: Error };

export type Reply = { readonly id: number } & (
  | { readonly event: unknown }
  | { readonly output: unknown }
  | { readonly failure: Failure }
);

/** Before the first reply: how far the thread has come, and that it is ready or failed. */
export type StartMessage<Loading, Ready> =
  | { readonly loading: Loading }
  | { readonly ready: Ready }
  | { readonly failure: Failure };

/** A thrown thing as it crosses: a fault keeps its code, anything else stays a defect. */
export const toFailure = (thrown: unknown): Failure =>
  isFault(thrown)
    ? { fault: { code: thrown.code, message: thrown.message, details: thrown.details } }
    : { defect: thrown instanceof Error ? thrown : new Error(String(thrown)) };

export const fromFailure = (failure: Failure): Error =>
  'fault' in failure
    ? fault(failure.fault.code, failure.fault.message, { details: failure.fault.details })
    : failure.defect;

export const cancelledFault = (): Fault => fault('CANCELLED', 'The caller cancelled, or its deadline passed.');
