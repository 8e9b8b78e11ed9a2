/** Runs a task for each item, at most `limit` at once; the first failure stops the others, and all have ended when this returns. */
export const runTasks = async <Item, Result>(
  items: readonly Item[],
  limit: number,
  signal: AbortSignal,
  task: (item: Item, signal: AbortSignal) => Promise<Result>,
): Promise<Result[]> => {
  const failure = new AbortController();
  const either = AbortSignal.any([signal, failure.signal]);
  const results = new Array<Result>(items.length);
  let next = 0;
  let firstError: { readonly thrown: unknown } | undefined;
  const work = async () => {
    while (next < items.length && !either.aborted) {
      const index = next++;
      try {
        results[index] = await task(items[index] as Item, either);
      } catch (thrown) {
        firstError ??= { thrown };
        failure.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, work));
  if (firstError !== undefined) throw firstError.thrown;
  signal.throwIfAborted();
  return results;
};
