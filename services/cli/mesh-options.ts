/** The flags that say what is served and with how much of the machine, the same for every command that starts services. */
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from '../../shared/log/create-logger.js';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { createProgressPrinter } from '../../shared/model-store/progress.js';
import { projectRoot } from '../../shared/project/root.js';
import { defaultStateDir } from '../coordinator/start.js';
import type { MeshConfig, ModelFiles } from '../mesh/start-mesh.js';
import type { Output } from './console-output.js';

export interface MeshFlags {
  readonly model?: string;
  readonly adapter?: string;
  readonly saes?: readonly string[];
  readonly modelName?: string;
  readonly threads: number;
  readonly cacheMb: number;
  readonly stateDir: string;
  readonly logLevel: LogLevel;
}

// The embedded model then stays below 1.5 GB in all.
const DEFAULT_CACHE_MB = 384;
const EMBEDDED_NAME = 'smollm2-135m-refusal';

/** A commander parser for a whole number within bounds. */
export const wholeFlag =
  (min: number, max: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max) {
      throw new InvalidArgumentError(`It must be a whole number between ${min} and ${max}.`);
    }
    return value;
  };

export const addModelFlags = (command: Command): Command =>
  command
    .option('--model <path>', 'GGUF file or Hugging Face folder (default: the embedded model, fetched once)')
    .option('--adapter <dir>', 'folder of a PEFT LoRA adapter for --model')
    .option('--saes <dir...>', 'folders of SAEs for --model, or a folder that holds them')
    .option('--model-name <name>', 'name of the model in requests and reports (default: the file name)')
    .option('--threads <n>', 'threads of the matrix kernels', wholeFlag(1, 1024), availableParallelism())
    .option('--cache-mb <n>', 'memory for residuals and keys, in MiB', wholeFlag(16, 1_048_576), DEFAULT_CACHE_MB)
    .addOption(
      new Option('--log-level <level>', 'services log to stderr from this level on')
        .choices(LOG_LEVELS)
        .default('warn'),
    );

export const addStateFlag = (command: Command): Command =>
  command.option('--state-dir <dir>', 'where audits and their checkpoints live', defaultStateDir());

/** The flags that `resume` must repeat to serve the same files. */
export const repeatModelFlags = (flags: MeshFlags): string => {
  const parts: string[] = [];
  if (flags.model !== undefined) parts.push('--model', quote(flags.model));
  if (flags.adapter !== undefined) parts.push('--adapter', quote(flags.adapter));
  if (flags.saes !== undefined) parts.push('--saes', ...flags.saes.map(quote));
  if (flags.modelName !== undefined) parts.push('--model-name', quote(flags.modelName));
  if (flags.stateDir !== defaultStateDir()) parts.push('--state-dir', quote(flags.stateDir));
  return parts.map((part) => ` ${part}`).join('');
};

export const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** Names the files to serve; fetches the embedded model if nothing else is named, with a progress bar. */
export const meshConfigOf = async (flags: MeshFlags, output: Output): Promise<MeshConfig> => ({
  ...(flags.model === undefined ? await embeddedFiles(flags) : namedFiles(flags, flags.model)),
  threads: flags.threads,
  cacheBytes: flags.cacheMb * 1024 * 1024,
  stateDir: flags.stateDir ?? defaultStateDir(),
  logLevel: flags.logLevel,
  onLoading: (done, total) => output.status(`loading the model: block ${done} of ${total}`),
});

const embeddedFiles = async (flags: MeshFlags): Promise<ModelFiles> => {
  const printer = createProgressPrinter(process.stderr);
  const { path } = await ensureEmbeddedModel({ onProgress: printer.onProgress }).finally(() => printer.end());
  return {
    modelName: flags.modelName ?? EMBEDDED_NAME,
    modelPath: path,
    adapterPath: flags.adapter ?? join(projectRoot, 'models', 'adapter'),
    saeDirs: flags.saes ?? [join(projectRoot, 'models', 'saes')],
  };
};

const namedFiles = (flags: MeshFlags, model: string): ModelFiles => ({
  modelName: flags.modelName ?? basename(model).replace(/\.gguf$/i, ''),
  modelPath: model,
  adapterPath: flags.adapter,
  saeDirs: flags.saes ?? [],
});
