/**
 * Which calls have shared a batch of the engine, told to both sides once a pair: their traces link to each other. Prevents: a call whose
 * trace shows a slow engine and not for whom else it worked at that time.
 */
import type { Passage } from './passage.js';
import type { EvaluationCall } from './pending-evaluation.js';

export class MetCalls {
  private readonly known = new WeakMap<EvaluationCall, WeakSet<EvaluationCall>>();

  see(batch: readonly Passage[]): void {
    const calls = new Set(batch.flatMap(({ waiting }) => waiting.map(({ call }) => call)));
    if (calls.size < 2) return;
    for (const call of calls) {
      const met = this.known.get(call) ?? new WeakSet([call]);
      this.known.set(call, met);
      const others = [...calls].filter((other) => !met.has(other));
      for (const other of others) met.add(other);
      if (others.length > 0) call.onMet?.(others);
    }
  }
}
