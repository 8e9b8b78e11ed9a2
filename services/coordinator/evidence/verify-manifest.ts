/** Whether an audit's files are those that its manifest was made from, and whether the manifest is whole. */
import { fault, isFault } from '../../../shared/errors/fault.js';
import type { AuditStore } from '../store/audit-store.js';
import { collectEntries } from './build-manifest.js';
import { canonicalJson, type ManifestEntry, type NumberedEntry, nameOfEntry, readManifest } from './manifest-lines.js';
import { isSignedBy } from './signature.js';

export interface Verdict {
  /** Each names the line or the file that is wrong; empty: all is as it was written. */
  readonly problems: readonly string[];
  readonly lines: number;
  readonly evaluations: number;
  readonly claims: number;
  readonly signature: 'none' | 'not checked' | 'valid' | 'wrong';
}

/** Throws AUDIT_UNKNOWN, and AUDIT_STATE for an audit without a manifest. `publicKeyPem`: the signature is checked against it. */
export const verifyManifest = async (store: AuditStore, auditId: string, publicKeyPem?: string): Promise<Verdict> => {
  const text = await readManifestText(store, auditId);
  const { entries, problems } = readManifest(text);
  const signed = await store.readEvidence(auditId, 'manifest.sig');
  const signature = stateOfSignature(text, signed, publicKeyPem);
  const count = (kind: ManifestEntry['kind']) => entries.filter(({ entry }) => entry.kind === kind).length;
  return {
    problems: [
      ...problems,
      ...(await compareWithFiles(store, auditId, entries)),
      ...(signature === 'wrong' ? ['manifest.sig is no signature of manifest.jsonl by this key'] : []),
      ...(signature === 'none' && publicKeyPem !== undefined ? ['manifest.sig is missing'] : []),
    ],
    lines: entries.length,
    evaluations: count('evaluation'),
    claims: count('claim'),
    signature,
  };
};

export const readManifestText = async (store: AuditStore, auditId: string): Promise<string> => {
  await store.readRecord(auditId);
  const text = await store.readEvidence(auditId, 'manifest.jsonl');
  if (text !== undefined) return text;
  throw fault(
    'AUDIT_STATE',
    `Audit ${auditId} has no manifest: it has not succeeded, or is from before there were any.`,
  );
};

const stateOfSignature = (text: string, signed: string | undefined, publicKeyPem?: string): Verdict['signature'] => {
  if (signed === undefined) return 'none';
  if (publicKeyPem === undefined) return 'not checked';
  return isSignedBy(text, signed, publicKeyPem) ? 'valid' : 'wrong';
};

const compareWithFiles = async (
  store: AuditStore,
  auditId: string,
  written: readonly NumberedEntry[],
): Promise<string[]> => {
  let files: ManifestEntry[];
  try {
    files = await collectEntries(store, auditId);
  } catch (thrown) {
    if (!isFault(thrown)) throw thrown;
    return [thrown.message];
  }
  return compareEntries(written, files);
};

const compareEntries = (written: readonly NumberedEntry[], files: readonly ManifestEntry[]): string[] => {
  const wanted = new Map(files.map((entry) => [nameOfEntry(entry), entry]));
  const problems: string[] = [];
  const seen = new Set<string>();
  for (const { line, entry } of written) {
    const name = nameOfEntry(entry);
    const fromFile = wanted.get(name);
    if (seen.has(name)) problems.push(`manifest.jsonl line ${line} says ${name} a second time`);
    else if (fromFile === undefined) problems.push(`manifest.jsonl line ${line}: ${fileOf(entry)} has no ${name}`);
    else if (canonicalJson(fromFile) !== canonicalJson(entry))
      problems.push(`manifest.jsonl line ${line} (${name}) says something else than ${fileOf(entry)}`);
    seen.add(name);
  }
  for (const [name, entry] of wanted) {
    if (!seen.has(name)) problems.push(`manifest.jsonl lacks a line for ${name}, which ${fileOf(entry)} has`);
  }
  return problems;
};

const fileOf = (entry: ManifestEntry): string => {
  switch (entry.kind) {
    case 'header':
      return 'spec.json with results/describe.json';
    case 'stage':
      return `results/${entry.name}.json`;
    case 'evaluation':
      return 'evaluations.binlog';
    case 'claim':
      return 'results/ with evaluations.binlog';
    case 'report':
      return 'report.json';
  }
};
