/** Turns callbacks into an async sequence: what work reports on the way becomes what a streaming handler yields. */

/** Yields what `run` emits, in order, until it ends; throws what it throws. Stops `run` when the reader goes away. */
export async function* streamOf<Event>(
  run: (emit: (event: Event) => void, signal: AbortSignal) => Promise<unknown>,
  callerSignal: AbortSignal,
): AsyncGenerator<Event> {
  const reader = new AbortController();
  const events: Event[] = [];
  let wake = () => {};
  let ended: { readonly problem?: unknown } | undefined;
  const emit = (event: Event) => {
    events.push(event);
    wake();
  };
  run(emit, AbortSignal.any([callerSignal, reader.signal])).then(
    () => {
      ended = {};
      wake();
    },
    (problem: unknown) => {
      ended = { problem };
      wake();
    },
  );
  try {
    for (;;) {
      while (events.length > 0) yield events.shift() as Event;
      if (ended !== undefined) break;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    reader.abort();
  }
  if ('problem' in ended) throw ended.problem;
}
