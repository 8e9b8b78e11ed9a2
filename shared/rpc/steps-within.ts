/**
 * Runs every step of a handler's async generator inside something that follows asynchronous work (a trace, a caller's identity). A plain
 * `run(() => generator)` would cover only the part before the first await of each step, as each step is asked for by the caller's code.
 */
export async function* stepsWithin<Out, Result>(
  run: <Value>(step: () => Value) => Value,
  steps: AsyncGenerator<Out, Result, undefined>,
): AsyncGenerator<Out, Result, undefined> {
  let isOver = false;
  let resume = () => steps.next();
  try {
    for (;;) {
      const step = await run(resume).catch((thrown: unknown) => {
        isOver = true;
        throw thrown;
      });
      if (step.done === true) {
        isOver = true;
        return step.value;
      }
      try {
        yield step.value;
        resume = () => steps.next();
      } catch (thrown) {
        resume = () => steps.throw(thrown);
      }
    }
  } finally {
    // The reader went away in the middle: the inner generator cleans up too.
    if (!isOver) await run(() => steps.return(undefined as Result));
  }
}
