/** What the model store is doing, for a person who waits: the value that callers get, and a printer of it. */

export type FetchPhase = 'waiting' | 'fetching' | 'extracting' | 'checking';

export interface FetchProgress {
  readonly phase: FetchPhase;
  readonly file: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

const BAR_CELLS = 24;
/** Off a terminal a line is printed each time the phase changes or another quarter is done. */
const LINES_PER_PHASE = 4;

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);

const share = (progress: FetchProgress): number =>
  progress.totalBytes > 0 ? Math.min(1, progress.bytes / progress.totalBytes) : 0;

/** One line of text: phase, bar, megabytes, file. */
export const formatProgress = (progress: FetchProgress): string => {
  if (progress.phase === 'waiting') return `waiting for another process that fetches ${progress.file}`;
  const filled = Math.round(share(progress) * BAR_CELLS);
  const bar = '#'.repeat(filled) + '-'.repeat(BAR_CELLS - filled);
  return `${progress.phase.padEnd(10)} [${bar}] ${megabytes(progress.bytes)}/${megabytes(progress.totalBytes)} MB  ${progress.file}`;
};

/** A printer for `onProgress`: redraws one line on a terminal, writes a few plain lines elsewhere. Call `end` when done. */
export const createProgressPrinter = (
  out: Pick<NodeJS.WriteStream, 'write' | 'isTTY'>,
): { readonly onProgress: (progress: FetchProgress) => void; readonly end: () => void } => {
  let last = '';
  const onTerminal = (progress: FetchProgress) => {
    const line = formatProgress(progress);
    if (line !== last) out.write(`\r\x1b[K${line}`);
    last = line;
  };
  const plain = (progress: FetchProgress) => {
    const step = `${progress.phase} ${Math.floor(share(progress) * LINES_PER_PHASE)}`;
    if (step !== last) out.write(`${formatProgress(progress)}\n`);
    last = step;
  };
  return {
    onProgress: out.isTTY ? onTerminal : plain,
    end: () => {
      if (out.isTTY && last !== '') out.write('\r\x1b[K');
      last = '';
    },
  };
};
