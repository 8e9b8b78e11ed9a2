/**
 * Rows of a CSV text (RFC 4180): quoted fields with commas, line breaks and doubled quotes; LF or CRLF; a byte order mark is
 * skipped. Prompts are full of all of these, so a split at commas would silently cut them short.
 */

/** A syntax error, with the line it stands on. */
export class CsvSyntaxError extends Error {
  constructor(
    readonly line: number,
    problem: string,
  ) {
    super(`line ${line}: ${problem}`);
  }
}

const BYTE_ORDER_MARK = 0xfeff;

/** One object a row, keyed by the header. Empty lines are skipped. Throws CsvSyntaxError. */
export function parseCsv(text: string): Record<string, string>[] {
  const lines = new CsvReader(text).rows();
  const header = lines.shift()?.fields.map((name) => name.trim()) ?? [];
  return lines.map(({ fields, line }) => {
    if (fields.length !== header.length) {
      throw new CsvSyntaxError(line, `the row has ${fields.length} fields, the header ${header.length}`);
    }
    return Object.fromEntries(header.map((name, i) => [name, fields[i]]));
  });
}

interface Row {
  readonly line: number;
  readonly fields: string[];
}

class CsvReader {
  private at: number;
  private line = 1;

  constructor(private readonly text: string) {
    this.at = text.charCodeAt(0) === BYTE_ORDER_MARK ? 1 : 0;
  }

  rows(): Row[] {
    const rows: Row[] = [];
    while (this.at < this.text.length) {
      const line = this.line;
      const fields = this.row();
      if (fields.length > 1 || fields[0] !== '') rows.push({ line, fields });
    }
    return rows;
  }

  private row(): string[] {
    const fields = [this.field()];
    while (this.text[this.at] === ',') {
      this.at++;
      fields.push(this.field());
    }
    if (this.text[this.at] === '\r') this.at++;
    if (this.text[this.at] === '\n') this.at++;
    this.line++;
    return fields;
  }

  private field(): string {
    if (this.text[this.at] === '"') return this.quotedField();
    const start = this.at;
    while (this.at < this.text.length && !this.atEndOfField()) this.at++;
    return this.text.slice(start, this.at);
  }

  private quotedField(): string {
    const start = this.line;
    let value = '';
    for (;;) {
      const end = this.text.indexOf('"', this.at + 1);
      if (end < 0) throw new CsvSyntaxError(start, 'a quoted field is never closed');
      const piece = this.text.slice(this.at + 1, end);
      this.line += piece.split('\n').length - 1;
      value += piece;
      this.at = end + 1;
      if (this.text[this.at] !== '"') break;
      value += '"';
    }
    if (this.at < this.text.length && !this.atEndOfField()) {
      throw new CsvSyntaxError(this.line, 'text follows the closing quote of a field');
    }
    return value;
  }

  private atEndOfField(): boolean {
    const character = this.text[this.at];
    return character === ',' || character === '\n' || (character === '\r' && this.text[this.at + 1] === '\n');
  }
}
