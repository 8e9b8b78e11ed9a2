/** Outcomes and dead letters as the messages of the contract. */
import { DeadLetter, type WorkFailure as WireFailure, WorkOutcome } from '../../proto/gen/refusalscope/v1/bus.js';
import { FAULTS, type FaultCode } from '../errors/fault.js';
import type { StoredDeadLetter, StoredOutcome, WorkFailure, WorkItem } from './bus.js';

export const encodeResult = (result: Uint8Array): Uint8Array =>
  WorkOutcome.encode({ outcome: { $case: 'result', value: Buffer.from(result) } }).finish();

export const encodeFailure = (failure: WorkFailure): Uint8Array =>
  WorkOutcome.encode({ outcome: { $case: 'failure', value: failure } }).finish();

export const decodeOutcome = (bytes: Uint8Array, sequence: number): StoredOutcome => {
  const outcome = outcomeIn(bytes);
  if (outcome?.$case === 'result') return { kind: 'done', sequence, result: outcome.value };
  return { kind: 'failed', sequence, failure: decodeFailure(outcome?.value) };
};

/** Undefined for bytes that are no outcome: whoever waits for it is told so, as of an outcome without content. */
const outcomeIn = (bytes: Uint8Array): WorkOutcome['outcome'] => {
  try {
    return WorkOutcome.decode(bytes).outcome;
  } catch {
    return undefined;
  }
};

export const encodeDeadLetter = (queue: string, item: WorkItem, failure: WorkFailure): Uint8Array =>
  DeadLetter.encode({
    queue,
    workId: item.id,
    requester: item.requester,
    failure,
    time: new Date(),
    payload: Buffer.from(item.payload),
  }).finish();

export const decodeDeadLetter = (bytes: Uint8Array): StoredDeadLetter => {
  const { workId, requester, failure, time, payload } = letterIn(bytes);
  return { workId, requester, failure: decodeFailure(failure), time: time ?? new Date(0), payload };
};

/** A letter that cannot be read is still one: the list of dead letters must not end at it. */
const letterIn = (bytes: Uint8Array): DeadLetter => {
  try {
    return DeadLetter.decode(bytes);
  } catch {
    return DeadLetter.fromPartial({ failure: { code: 'CHECKPOINT_CORRUPT', text: 'The dead letter cannot be read.' } });
  }
};

const decodeFailure = (failure: WireFailure | undefined): WorkFailure => {
  const code = failure?.code ?? '';
  const text = failure?.text ?? 'The stored outcome holds neither a result nor a failure.';
  return { code: isFaultCode(code) ? code : 'INTERNAL', text, deliveries: failure?.deliveries ?? 0 };
};

// A newer release may have written a code that this one does not know.
const isFaultCode = (code: string): code is FaultCode => Object.hasOwn(FAULTS, code);
