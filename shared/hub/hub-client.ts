/**
 * The one door to the Hugging Face Hub library. Names commits, lists files with their hashes, opens a file from an offset; errors of the
 * library come out as MODEL_UNAVAILABLE with what to do. Which host is asked is the library's own default, or `hubUrl`.
 */
import { downloadFile, HubApiError, listFiles, modelInfo } from '@huggingface/hub';
import { fault, isFault } from '../errors/fault.js';

export interface HubAccess {
  /** Such as a mirror inside a company. Default: the library's. */
  readonly hubUrl?: string | undefined;
  /** For gated repositories. */
  readonly token?: string | undefined;
}

export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  /** sha256 of the content (large files), or the git blob id, which is a sha1 over a header and the content. */
  readonly hash: { readonly kind: 'sha256' | 'git-sha1'; readonly hex: string };
}

export interface HubPlace {
  /** owner/name */
  readonly repo: string;
  readonly revision: string;
}

/** The commit that a branch, tag or commit names now. */
export const resolveCommit = ({ repo, revision }: HubPlace, access: HubAccess): Promise<string> =>
  asked(repo, async () => {
    const { sha } = await modelInfo({ name: repo, revision, additionalFields: ['sha'], ...optionsOf(access) });
    if (typeof sha !== 'string' || !/^[0-9a-f]{40}$/.test(sha))
      throw fault('MODEL_UNAVAILABLE', `The hub names no commit for ${repo} at ${revision}.`);
    return sha;
  });

/** All files of the repository at the revision. */
export const listHubFiles = ({ repo, revision }: HubPlace, access: HubAccess): Promise<HubFile[]> =>
  asked(repo, async () => {
    const files: HubFile[] = [];
    for await (const entry of listFiles({ repo, revision, recursive: true, ...optionsOf(access) })) {
      if (entry.type !== 'file') continue;
      assertSafePath(repo, entry.path);
      const { lfs, oid = '' } = entry;
      const hash = lfs ? { kind: 'sha256' as const, hex: lfs.oid } : { kind: 'git-sha1' as const, hex: oid };
      files.push({ path: entry.path, bytes: lfs?.size ?? entry.size, hash });
    }
    return files;
  });

/** The content from byte `from` on. */
export const openHubFile = (
  { repo, revision }: HubPlace,
  path: string,
  from: number,
  access: HubAccess,
): Promise<ReadableStream<Uint8Array>> =>
  asked(repo, async () => {
    // By plain ranges: a transfer that is cut goes on where it ended.
    const blob = await downloadFile({ repo, revision, path, xet: false, ...optionsOf(access) });
    if (blob === null) throw fault('MODEL_UNAVAILABLE', `${repo} has no file ${path} at ${revision}.`);
    return blob.slice(from, blob.size).stream();
  });

const optionsOf = ({ hubUrl, token }: HubAccess) => {
  // The library would throw a plain error, which reads like a hub that is away.
  if (token !== undefined && !token.startsWith('hf_')) throw fault('CONFIG_INVALID', 'HF_TOKEN must begin with "hf_".');
  return { ...(hubUrl !== undefined && { hubUrl }), ...(token !== undefined && { accessToken: token }) };
};

async function asked<Value>(repo: string, ask: () => Promise<Value>): Promise<Value> {
  try {
    return await ask();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    if (isFault(cause)) throw cause;
    throw fault('MODEL_UNAVAILABLE', `${repo} could not be read from the hub: ${whatToDo(cause)}`, { cause });
  }
}

function whatToDo(cause: Error): string {
  if (!(cause instanceof HubApiError)) return 'the hub cannot be reached. Files in a local folder work without it.';
  const { statusCode } = cause;
  if (statusCode === 401 || statusCode === 403)
    return `it answered ${statusCode}. If the repository asks for a licence, accept it on its page and set HF_TOKEN.`;
  if (statusCode === 404) return 'there is no such repository or revision (404).';
  return `it answered ${statusCode}. Try again later: what was fetched is kept.`;
}

/** A path from the network becomes a path on this disk: it must stay below its folder. */
function assertSafePath(repo: string, path: string): void {
  const parts = path.split('/');
  const unsafe = path.startsWith('/') || /[\\\0:]/.test(path) || parts.some((part) => ['', '.', '..'].includes(part));
  if (unsafe)
    throw fault(
      'MODEL_UNAVAILABLE',
      `${repo} lists a file whose path cannot be used here: ${JSON.stringify(path.slice(0, 80))}.`,
    );
}
