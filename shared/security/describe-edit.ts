/**
 * What the audit log says about a request: digests, counts, positions. Undefined for a request that edits nothing and controls nothing.
 * Never the text of a prompt: a prompt is named by the sha256 of its text, or of its token ids.
 */
import { createHash } from 'node:crypto';
import { EditBank, type Prompt, type Positions as WirePositions } from '../../proto/gen/refusalscope/v1/types.js';
import { decodePositions, formatPositions } from '../tensors/positions.js';
import type { AuditFacts } from './audit-log.js';
import { bankOf, scopesFor } from './scope-table.js';

const sha256 = (data: string | Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** The fields of the requests that are described; each method has some of them. */
interface Described {
  readonly model?: string;
  readonly prompt?: Prompt | undefined;
  readonly prompts?: readonly unknown[];
  readonly cases?: readonly unknown[];
  readonly positions?: unknown;
  readonly evaluations?: readonly unknown[];
  readonly id?: string;
  readonly spec?: Described | undefined;
}

export const describeEdit = (path: string, request: unknown): AuditFacts | undefined => {
  const scopes = scopesFor(path, request) ?? [];
  if (!scopes.includes('intervene') && !scopes.includes('audit')) return undefined;
  const given = request as Described;
  const { model, positions } = given.spec ?? given;
  return {
    ...(model && { model }),
    ...(given.id && { audit: given.id }),
    ...bankFacts(request),
    ...(isPositions(positions) && { positions: [formatPositions(decodePositions(positions))] }),
    ...(given.evaluations && { evaluations: given.evaluations.length }),
    ...promptFacts(given.spec ?? given),
  };
};

const bankFacts = (request: unknown): AuditFacts => {
  const bank = bankOf(request);
  if (bank === undefined) return {};
  // By reference: the digest that inference gave the bank when it came inline; that call's line holds it too.
  if (bank.$case === 'digest') return { engineBankDigest: bank.value.slice(0, 64) };
  const { layers } = bank.value;
  return {
    bankSha256: sha256(EditBank.encode(bank.value).finish()),
    edits: layers.reduce((sum, { names, read }) => sum + (read?.rows ?? names.length), 0),
    layers: [...new Set(layers.map(({ layer }) => layer))],
    positions: [...new Set(layers.map(({ positions }) => formatPositions(decodePositions(positions))))],
  };
};

const isPositions = (value: unknown): value is WirePositions =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const promptFacts = ({ prompt, prompts, cases }: Described): AuditFacts => {
  const all = [...(prompt === undefined ? [] : [prompt]), ...(prompts ?? []), ...(cases ?? [])];
  const digests = all.flatMap((one) => {
    // Labelled prompts and cases hold theirs one level down.
    const inner = (one as { readonly prompt?: Prompt | undefined }).prompt ?? (one as Prompt);
    const { input } = inner;
    return input === undefined ? [] : [sha256(input.$case === 'text' ? input.value : JSON.stringify(input.value.ids))];
  });
  return digests.length === 0 ? {} : { promptSha256: digests };
};
