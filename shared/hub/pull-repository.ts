/**
 * A repository of the hub, pinned to a commit, below the cache folder: CACHE/hub/OWNER/NAME/COMMIT/... A complete one has a list of its files
 * beside it and is never asked for again, so that what was pulled once works offline.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fault } from '../errors/fault.js';
import { type FetchFileOptions, fetchFile } from './fetch-file.js';
import { type HubFile, listHubFiles, resolveCommit } from './hub-client.js';
import { isWanted } from './hub-shortcuts.js';

export interface PullOptions extends Omit<FetchFileOptions, 'onBytes'> {
  /** owner/name */
  readonly repo: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  readonly cacheDir: string;
  readonly choose?: ((files: readonly HubFile[]) => HubFile[]) | undefined;
  /** Only files that match one of these; none: all but what is never read. */
  readonly include?: readonly RegExp[];
  readonly onProgress?: (done: number, total: number) => void;
}

export interface Pulled {
  readonly folder: string;
  readonly commit: string;
  readonly files: number;
  readonly bytes: number;
  /** Nothing was asked of the hub. */
  readonly offline: boolean;
}

const COMMIT = /^[0-9a-f]{40}$/;
/** So much stays free on the disk. */
const SPARE_BYTES = 256 << 20;

/** Throws REQUEST_INVALID for a name that is none, MODEL_UNAVAILABLE. */
export async function pullRepository(options: PullOptions): Promise<Pulled> {
  const { repo, revision } = options;
  if (!/^[\w][\w.-]*\/[\w][\w.-]*$/.test(repo) || repo.includes('..'))
    throw fault('REQUEST_INVALID', `${JSON.stringify(repo.slice(0, 80))} is no repository: write owner/name.`);
  const isPinned = COMMIT.test(revision);
  const known = isPinned ? await readComplete(folderOf(options, revision), options) : undefined;
  if (known !== undefined) return { ...known, commit: revision, offline: true };
  const commit = isPinned ? revision : await resolveCommit(options, options);
  const folder = folderOf(options, commit);
  const files = chooseFiles(options, await listHubFiles({ repo, revision: commit }, options));
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  await mkdir(folder, { recursive: true });
  await assertSpace(folder, bytes);
  let done = 0;
  for (const file of files) {
    const onBytes = (more: number) => {
      done += more;
      options.onProgress?.(done, bytes);
    };
    await fetchFile({ repo, revision: commit }, file, join(folder, file.path), { ...options, onBytes });
  }
  await writeFile(listPath(folder, options), `${JSON.stringify({ repo, commit, files }, undefined, 1)}\n`);
  return { folder, commit, files: files.length, bytes, offline: false };
}

const folderOf = ({ cacheDir, repo }: PullOptions, commit: string): string => join(cacheDir, 'hub', repo, commit);

/** Another choice of files of the same commit is another list. */
const listPath = (folder: string, { include = [], choose }: PullOptions): string => {
  const choice = [...include.map(String), ...(choose === undefined ? [] : ['chosen'])].join(' ');
  return `${folder}${choice === '' ? '' : `-${createHash('sha256').update(choice).digest('hex').slice(0, 16)}`}.json`;
};

async function readComplete(
  folder: string,
  options: PullOptions,
): Promise<Omit<Pulled, 'commit' | 'offline'> | undefined> {
  try {
    const { files } = JSON.parse(await readFile(listPath(folder, options), 'utf8')) as { files: HubFile[] };
    for (const { path, bytes } of files) if ((await stat(join(folder, path))).size !== bytes) return undefined;
    return { folder, files: files.length, bytes: files.reduce((sum, file) => sum + file.bytes, 0) };
  } catch {
    // Not there yet, cut short, or a file of it is gone: the hub is asked.
    return undefined;
  }
}

function chooseFiles({ repo, choose, include = [] }: PullOptions, files: readonly HubFile[]): HubFile[] {
  const chosen = choose === undefined ? files.filter(({ path }) => isWanted(path, include)) : choose(files);
  if (chosen.length > 0) return chosen;
  const shown = files.slice(0, 8).map(({ path }) => path);
  throw fault(
    'REQUEST_INVALID',
    `${repo} has no file that is wanted. It has ${files.length}, such as ${shown.join(', ')}.`,
  );
}

async function assertSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  if (bytes + SPARE_BYTES > bavail * bsize)
    throw fault(
      'MODEL_UNAVAILABLE',
      `${(bytes / 1e9).toFixed(1)} GB are needed in ${folder}, ${((bavail * bsize) / 1e9).toFixed(1)} GB are free. Set XDG_CACHE_HOME to a larger disk.`,
    );
}
