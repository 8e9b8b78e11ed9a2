/** The flags that say what is served and with how much of the machine, the same for every command that starts services. */
import { availableParallelism } from 'node:os';
import { basename, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { LOG_LEVELS, type LogLevel } from '../../shared/log/create-logger.js';
import { cacheFolderOf } from '../../shared/model-store/embedded-model.js';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { DEFAULT_PRESET, MODEL_PRESETS, modelPreset, type PresetName } from '../../shared/model-store/model-presets.js';
import { createProgressPrinter } from '../../shared/model-store/progress.js';
import { defaultStateDir } from '../coordinator/start.js';
import { COMPUTE_TYPES, type ComputeDtype } from '../inference/thread/messages.js';
import type { MeshConfig, ModelFiles } from '../mesh/start-mesh.js';
import type { Output } from './console-output.js';
import { type JudgeFlags, judgeArguments, judgeOf } from './judge-options.js';

export interface MeshFlags extends JudgeFlags {
  readonly model?: string;
  /** Which of the models that ship is served when --model names none. */
  readonly modelPreset?: PresetName;
  readonly adapter?: string;
  /** Folders of SAEs. */
  readonly sae?: readonly string[];
  readonly saeWidth?: number;
  readonly saeL0?: number;
  readonly modelName?: string;
  readonly compute?: ComputeDtype;
  readonly device?: string;
  readonly threads: number;
  readonly cacheMb?: number;
  readonly stateDir: string;
  readonly logLevel: LogLevel;
}

/** What the cache may hold it soon does. The embedded model computes nothing again for having half as much (docs/services/inference.md). */
const CACHE_MB = { embedded: 192, named: 384 } as const;

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
    .addOption(
      new Option('--model-preset <name>', 'which of the models that ship, see models/README.md')
        .choices(Object.keys(MODEL_PRESETS))
        .conflicts('model'),
    )
    .option('--adapter <dir>', 'folder of a PEFT LoRA adapter for --model')
    .option('--sae <dir...>', 'folders of SAEs for --model, or a folder that holds them')
    .option('--sae-width <n>', 'of several SAEs of a layer: those with this width', wholeFlag(1, 1 << 22))
    .option('--sae-l0 <n>', 'of several SAEs of a layer: the one whose L0 is nearest', wholeFlag(1, 1 << 16))
    .option('--model-name <name>', 'name of the model in requests and reports (default: the file name)')
    .addOption(
      new Option('--compute <type>', 'what the blocks compute in; numerics says what a type costs')
        .choices(COMPUTE_TYPES)
        .default('float32'),
    )
    .option('--device <name>', 'cpu, or an execution provider of ONNX Runtime such as cuda', 'cpu')
    .option('--threads <n>', 'threads of the matrix kernels', wholeFlag(1, 1024), availableParallelism())
    .option(
      '--cache-mb <n>',
      `memory for residuals and keys, in MiB (default: ${CACHE_MB.embedded}; ${CACHE_MB.named} with --model)`,
      wholeFlag(16, 1_048_576),
    )
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
  if (flags.modelPreset !== undefined) parts.push('--model-preset', flags.modelPreset);
  if (flags.adapter !== undefined) parts.push('--adapter', quote(flags.adapter));
  if (flags.sae !== undefined) parts.push('--sae', ...flags.sae.map(quote));
  if (flags.saeWidth !== undefined) parts.push('--sae-width', String(flags.saeWidth));
  if (flags.saeL0 !== undefined) parts.push('--sae-l0', String(flags.saeL0));
  if (flags.compute !== undefined && flags.compute !== 'float32') parts.push('--compute', flags.compute);
  if (flags.device !== undefined && flags.device !== 'cpu') parts.push('--device', quote(flags.device));
  if (flags.modelName !== undefined) parts.push('--model-name', quote(flags.modelName));
  parts.push(...judgeArguments(flags).map(quote));
  if (flags.stateDir !== defaultStateDir()) parts.push('--state-dir', quote(flags.stateDir));
  return parts.map((part) => ` ${part}`).join('');
};

export const quote = (text: string): string =>
  /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

/** Names the files to serve; fetches the embedded model if nothing else is named, with a progress bar. */
export const meshConfigOf = async (flags: MeshFlags, output: Output): Promise<MeshConfig> => ({
  ...(flags.model === undefined ? await embeddedFiles(flags) : namedFiles(flags, flags.model)),
  saeChoice: {
    ...(flags.saeWidth !== undefined && { width: flags.saeWidth }),
    ...(flags.saeL0 !== undefined && { l0: flags.saeL0 }),
  },
  // Hashing an 8B model again at every start would take longer than loading it.
  digestDir: cacheFolderOf(process.env),
  judge: judgeOf(flags),
  compute: flags.compute,
  device: flags.device,
  threads: flags.threads,
  cacheBytes: (flags.cacheMb ?? CACHE_MB[flags.model === undefined ? 'embedded' : 'named']) * 1024 * 1024,
  stateDir: flags.stateDir ?? defaultStateDir(),
  logLevel: flags.logLevel,
  onLoading: (done, total) => output.status(`loading the model: block ${done} of ${total}`),
});

const embeddedFiles = async (flags: MeshFlags): Promise<ModelFiles> => {
  const printer = createProgressPrinter(process.stderr);
  const { path } = await ensureEmbeddedModel({ onProgress: printer.onProgress }).finally(() => printer.end());
  const preset = modelPreset(flags.modelPreset ?? DEFAULT_PRESET);
  return {
    modelName: flags.modelName ?? preset.modelName,
    modelPath: path,
    adapterPath: flags.adapter ?? preset.adapterPath,
    saeDirs: flags.sae ?? [preset.saeDir],
  };
};

const namedFiles = (flags: MeshFlags, model: string): ModelFiles => ({
  modelName: flags.modelName ?? basename(resolve(model)).replace(/\.gguf$/i, ''),
  modelPath: model,
  adapterPath: flags.adapter,
  saeDirs: flags.sae ?? [],
});
