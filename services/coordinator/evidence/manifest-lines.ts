/**
 * The lines of manifest.jsonl: canonical JSON, each with the sha256 of the line before it. Prevents: a line that is changed, removed or put
 * in later without a trace.
 */
import { createHash } from 'node:crypto';
import type { Claim } from './claims.js';

export const MANIFEST_SCHEMA = 'refusalscope.manifest/1';

export type ManifestEntry =
  | {
      readonly kind: 'header';
      readonly schema: typeof MANIFEST_SCHEMA;
      readonly auditId: string;
      readonly specSha256: string;
      readonly provenance: unknown;
    }
  | { readonly kind: 'stage'; readonly name: string; readonly sha256: string }
  | {
      readonly kind: 'evaluation';
      /** "prompt:<id>" or "stage:<name>". */
      readonly scope: string;
      /** Lower-case hex. */
      readonly key: string;
      readonly score: number;
      /** Over the whole serialized record. */
      readonly sha256: string;
    }
  | ({ readonly kind: 'claim' } & Claim)
  | { readonly kind: 'report'; readonly sha256: string };

// 32 zero bytes: nothing stands before the first line.
const NO_LINE = '0'.repeat(64);

export const sha256Of = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Keys in the order of their code units at every depth, so that equal values have equal texts. */
export const canonicalJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );

export const encodeManifest = (entries: readonly ManifestEntry[]): string => {
  let previous = NO_LINE;
  const lines = entries.map((entry) => {
    const line = canonicalJson({ entry, previous });
    previous = sha256Of(line);
    return `${line}\n`;
  });
  return lines.join('');
};

/** What a line is about, the same for the line that stands there and the one that should. */
export const nameOfEntry = (entry: ManifestEntry): string => {
  switch (entry.kind) {
    case 'stage':
      return `stage ${entry.name}`;
    case 'evaluation':
      return `evaluation ${entry.key} of ${entry.scope}`;
    case 'claim':
      return `claim ${entry.id}`;
    default:
      return entry.kind;
  }
};

export interface NumberedEntry {
  /** From 1. */
  readonly line: number;
  readonly entry: ManifestEntry;
}

export interface ReadManifest {
  readonly entries: readonly NumberedEntry[];
  /** Faults of the chain itself. */
  readonly problems: readonly string[];
}

/** Follows the chain from the first line to the last. */
export const readManifest = (text: string): ReadManifest => {
  const problems: string[] = [];
  const entries: NumberedEntry[] = [];
  if (!text.endsWith('\n')) problems.push('manifest.jsonl does not end with a whole line');
  let previous = NO_LINE;
  text
    .replace(/\n$/, '')
    .split('\n')
    .forEach((content, i) => {
      const line = i + 1;
      const parsed = parseLine(content);
      if (parsed === undefined) problems.push(`manifest.jsonl line ${line} is no line of a manifest`);
      else {
        entries.push({ line, entry: parsed.entry });
        if (parsed.previous !== previous) problems.push(chainProblem(line));
      }
      previous = sha256Of(content);
    });
  return { entries, problems };
};

const chainProblem = (line: number): string =>
  line === 1
    ? 'manifest.jsonl line 1 does not begin a chain'
    : `manifest.jsonl line ${line} carries another hash than that of line ${line - 1}: one of the two was changed`;

/** Only a text that says exactly what it means: a second spelling of the same entry would be a change that nobody sees. */
const parseLine = (content: string): { entry: ManifestEntry; previous: string } | undefined => {
  try {
    const line = JSON.parse(content) as { entry: ManifestEntry; previous: string };
    const isWhole = typeof line.entry.kind === 'string' && canonicalJson(line) === content;
    return isWhole ? line : undefined;
  } catch {
    return undefined;
  }
};
