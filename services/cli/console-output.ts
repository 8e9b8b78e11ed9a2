/** The two streams of a command: results on stdout, everything for people who wait on stderr. Handed in, so that tests can read them. */
export interface Output {
  /** A line of the result. */
  result(line: string): void;
  /** A line about what is going on. */
  note(line: string): void;
  /** Replaces the last status line on a terminal; elsewhere nothing. */
  status(line: string): void;
  readonly isTerminal: boolean;
}

const CLEAR_LINE = '\r\x1b[K';

export const createOutput = (
  stdout: Pick<NodeJS.WriteStream, 'write'>,
  stderr: Pick<NodeJS.WriteStream, 'write' | 'isTTY' | 'columns'>,
): Output => {
  const isTerminal = stderr.isTTY === true;
  let hasStatus = false;
  const clear = () => {
    if (hasStatus) stderr.write(CLEAR_LINE);
    hasStatus = false;
  };
  return {
    isTerminal,
    result: (line) => {
      clear();
      stdout.write(`${line}\n`);
    },
    note: (line) => {
      clear();
      stderr.write(`${line}\n`);
    },
    status: (line) => {
      if (!isTerminal) return;
      // A wrapped status line could not be cleared again.
      stderr.write(CLEAR_LINE + line.slice(0, (stderr.columns ?? 80) - 1));
      hasStatus = line !== '';
    },
  };
};
