/**
 * Checks that the byte ranges which a file's table claims lie inside the file and do not overlap. Overlaps make one byte mean two
 * things and are how zip bombs multiply; holes can hide bytes, so that a format that forbids them is held to it.
 */
import { corruptFile, quoted } from './tensor-file-faults.js';

/** A named range [start, end) in absolute bytes of the file. */
export interface ByteSpan {
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

/** Faults TENSOR_FILE_CORRUPT unless the spans lie in [area.start, area.end), apart from each other and, if `dense`, without holes. */
export const assertByteSpans = (
  path: string,
  spans: readonly ByteSpan[],
  area: { readonly start: number; readonly end: number; readonly dense: boolean },
): void => {
  const sorted = [...spans].sort((a, b) => a.start - b.start || a.end - b.end);
  let reached = area.start;
  let previous = 'the header';
  for (const span of sorted) {
    const what = `the data of tensor ${quoted(span.name)}`;
    if (span.end > area.end)
      throw corruptFile(path, `the end of ${what}`, `byte ${span.end}`, `the data ends at byte ${area.end}`);
    const empty = span.start === span.end;
    if (span.start < reached && !(empty && !area.dense))
      throw corruptFile(path, `the start of ${what}`, `byte ${span.start}`, `${previous} goes on to byte ${reached}`);
    if (area.dense && span.start > reached)
      throw corruptFile(
        path,
        `the start of ${what}`,
        `byte ${span.start}`,
        `holes are not allowed after byte ${reached}`,
      );
    if (empty) continue;
    reached = span.end;
    previous = `tensor ${quoted(span.name)}`;
  }
  if (area.dense && reached !== area.end)
    throw corruptFile(path, 'the end of the last tensor', `byte ${reached}`, `the data ends at byte ${area.end}`);
};
