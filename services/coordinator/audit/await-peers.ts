/**
 * A stage whose peer went away is run again once all peers answer: whoever runs a pod starts it again, but a model takes a while to load.
 * What the stage has finished is in the checkpoint and is not run twice. Prevents: an audit that fails a minute before it could have gone on.
 */
import { isFault } from '../../../shared/errors/fault.js';
import type { Peers } from '../peers/open-peers.js';
import type { AuditFact } from './audit-event.js';

/** A peer that comes and goes more often than this within one stage has a fault of its own. */
const MAX_RUNS = 4;

export interface PeerPatience {
  readonly peers: Pick<Peers, 'waitUntilReady'>;
  /** How long one that is away may take. */
  readonly peerReturnMs: number;
  readonly signal: AbortSignal;
  emit(fact: AuditFact): void;
}

/** @throws PEER_UNAVAILABLE if a peer stays away, and whatever else `run` throws */
export const againWhenPeersReturn = async <Result>(
  { peers, peerReturnMs, signal, emit }: PeerPatience,
  run: () => Promise<Result>,
): Promise<Result> => {
  for (let runs = 1; ; runs++) {
    try {
      return await run();
    } catch (thrown) {
      if (!isFault(thrown, 'PEER_UNAVAILABLE') || runs === MAX_RUNS || signal.aborted) throw thrown;
      emit({
        kind: 'warning',
        code: 'PEER_AWAY',
        text: `${thrown.message} The stage goes on once all services answer.`,
      });
      await orAbort(peers.waitUntilReady(peerReturnMs), signal);
    }
  }
};

/** A wait that has no signal of its own still ends when the audit is stopped. */
export const orAbort = <Value>(wait: Promise<Value>, signal: AbortSignal): Promise<Value> =>
  new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    wait.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
