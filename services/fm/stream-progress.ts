/**
 * Turns a promise with a progress callback into a stream that ends with the result. A slow reader gets the newest progress only:
 * nothing piles up.
 */
export async function* streamProgress<Progress, Result>(
  start: (onProgress: (progress: Progress) => void) => Promise<Result>,
): AsyncGenerator<{ readonly progress: Progress } | { readonly result: Result }> {
  let newest: Progress | undefined;
  let wake = () => {};
  const settled = start((progress) => {
    newest = progress;
    wake();
  }).then((result) => ({ result }));
  for (;;) {
    const woken = new Promise<undefined>((resolve) => {
      wake = () => resolve(undefined);
    });
    if (newest !== undefined) wake();
    const done = await Promise.race([settled, woken]);
    if (done !== undefined) return yield done;
    const progress = newest;
    newest = undefined;
    if (progress !== undefined) yield { progress };
  }
}
