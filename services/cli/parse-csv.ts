/** CSV as RFC 4180 has it: quoted fields with doubled quotes, commas and line breaks inside them, a byte order mark, CRLF or LF. */
import { fault } from '../../shared/errors/fault.js';

/** Rows of fields; the first is the header. Throws REQUEST_INVALID with the line number for a quote that is not closed. */
export const parseCsv = (text: string): string[][] => {
  const rows: string[][] = [];
  const cursor = { text: text.replace(/^\uFEFF/, ''), at: 0, line: 1 };
  while (cursor.at < cursor.text.length) {
    const row = readRow(cursor);
    if (row.length > 1 || row[0] !== '') rows.push(row);
  }
  return rows;
};

interface Cursor {
  readonly text: string;
  at: number;
  line: number;
}

const readRow = (cursor: Cursor): string[] => {
  const row: string[] = [];
  for (;;) {
    row.push(cursor.text[cursor.at] === '"' ? readQuoted(cursor) : readPlain(cursor));
    const next = cursor.text[cursor.at];
    cursor.at += 1;
    if (next === ',') continue;
    if (next === '\r' && cursor.text[cursor.at] === '\n') cursor.at += 1;
    if (next !== undefined && next !== '\r' && next !== '\n') {
      throw fault('REQUEST_INVALID', `Line ${cursor.line}: a closing quote is followed by ${JSON.stringify(next)}.`);
    }
    cursor.line += 1;
    return row;
  }
};

const readPlain = (cursor: Cursor): string => {
  const start = cursor.at;
  while (cursor.at < cursor.text.length && !',\r\n'.includes(cursor.text[cursor.at] as string)) cursor.at += 1;
  return cursor.text.slice(start, cursor.at);
};

const readQuoted = (cursor: Cursor): string => {
  const opened = cursor.line;
  let value = '';
  cursor.at += 1;
  for (;;) {
    const close = cursor.text.indexOf('"', cursor.at);
    if (close < 0) throw fault('REQUEST_INVALID', `Line ${opened}: a quote is opened and not closed.`);
    const piece = cursor.text.slice(cursor.at, close);
    value += piece;
    cursor.line += piece.split('\n').length - 1;
    cursor.at = close + 1;
    if (cursor.text[cursor.at] !== '"') return value;
    value += '"';
    cursor.at += 1;
  }
};
