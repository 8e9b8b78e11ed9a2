/**
 * A PEFT LoRA adapter (Hu et al. 2021): for some weights W of a model, W + (alpha / r) B A. Prevents an adapter of another model
 * from being applied: every pair is checked against the base weight's shape when it is opened, and a tensor that is not understood
 * is refused, not left out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fault } from '../../../shared/errors/fault.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { quoted, unsupportedFile } from '../../../shared/tensor-files/tensor-file-faults.js';
import type { RowRange, TensorSource } from '../../../shared/tensor-files/tensor-source.js';

const AdapterConfig = z.object({
  peft_type: z.literal('LORA'),
  r: z.number().int().min(1).max(4096),
  lora_alpha: z.number().positive(),
  use_rslora: z.boolean().nullish(),
  use_dora: z.literal(false).nullish(),
  bias: z.literal('none').nullish(),
  fan_in_fan_out: z.literal(false).nullish(),
  modules_to_save: z.null().optional(),
  rank_pattern: z.record(z.string(), z.number()).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
});

/** One weight's change: scale * B A with A [rank, in] and B [out, rank]. */
export interface LowRank {
  readonly rank: number;
  readonly scale: number;
}

interface Pair extends LowRank {
  readonly a: string;
  readonly b: string;
}

const CONFIG = 'adapter_config.json';
const FILE = 'adapter_model.safetensors';

export class LoraAdapter {
  private readonly pairs: ReadonlyMap<string, Pair>;
  private readonly tensors: TensorSource;
  /** The files that decide what it does. */
  readonly files: readonly string[];

  /** Faults: FILE_NOT_FOUND, TENSOR_FILE_CORRUPT, TENSOR_FILE_UNSUPPORTED, SHAPE_MISMATCH (for another model than `base`). */
  constructor(folder: string, base: TensorSource) {
    this.files = [CONFIG, FILE].map((name) => join(folder, name));
    const config = readConfig(this.files[0]);
    this.tensors = openSafetensors(this.files[1]);
    try {
      this.pairs = findPairs(this.tensors, config);
      for (const [name, pair] of this.pairs) this.assertFits(base, name, pair);
    } catch (thrown) {
      this.tensors.close();
      throw thrown;
    }
  }

  /** What it adds to a weight, by the weight's name; undefined: nothing. */
  find(name: string): LowRank | undefined {
    return this.pairs.get(name);
  }

  /** A of a weight that `find` knows, [rank, in]. */
  readA(name: string): Float32Array {
    return this.tensors.readFloat32((this.pairs.get(name) as Pair).a);
  }

  /** B of a weight that `find` knows, or some of its rows, [out, rank]. */
  readB(name: string, rows?: RowRange): Float32Array {
    return this.tensors.readFloat32((this.pairs.get(name) as Pair).b, rows);
  }

  close(): void {
    this.tensors.close();
  }

  private assertFits(base: TensorSource, name: string, { a, b, rank }: Pair): void {
    if (!base.has(name)) {
      throw fault(
        'SHAPE_MISMATCH',
        `The adapter changes ${quoted(name)}, which the model does not have: it is for another model.`,
      );
    }
    const [out, width] = base.info(name).shape;
    const [aRows, aColumns] = this.tensors.info(a).shape;
    const [bRows, bColumns] = this.tensors.info(b).shape;
    if (aRows === rank && bColumns === rank && aColumns === width && bRows === out) return;
    throw fault(
      'SHAPE_MISMATCH',
      `The adapter's ${quoted(name)} is [${bRows}, ${bColumns}] x [${aRows}, ${aColumns}] with rank ${rank}; the model's weight is [${out}, ${width}]. Use the adapter that was trained on this model.`,
    );
  }
}

function readConfig(path: string): z.infer<typeof AdapterConfig> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `${path} cannot be read: an adapter folder holds adapter_config.json and ${FILE}.`, {
      cause,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fault('TENSOR_FILE_CORRUPT', `${path} is not JSON.`, { cause });
  }
  const parsed = AdapterConfig.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw fault(
    'TENSOR_FILE_UNSUPPORTED',
    `${path}: "${issue.path.join('.')}": ${issue.message}. Plain LoRA on linear layers is read; merge other adapters into the weights first.`,
  );
}

function findPairs(adapter: TensorSource, config: z.infer<typeof AdapterConfig>): Map<string, Pair> {
  const pairs = new Map<string, Pair>();
  for (const { name } of adapter.list()) {
    const match = /^(?:base_model\.model\.)?(.+)\.lora_(A|B)(?:\.default)?\.weight$/.exec(name);
    if (!match) throw unsupportedFile(adapter.path, 'a tensor', name, 'Only lora_A and lora_B of linear layers are.');
    if (match[2] === 'B') continue;
    const target = match[1];
    const rank = patternValue(adapter.path, config.rank_pattern, target) ?? config.r;
    const alpha = patternValue(adapter.path, config.alpha_pattern, target) ?? config.lora_alpha;
    const scale = alpha / (config.use_rslora ? Math.sqrt(rank) : rank);
    pairs.set(`${modelName(target)}.weight`, { a: name, b: name.replace('.lora_A', '.lora_B'), rank, scale });
  }
  if (pairs.size > 0) return pairs;
  throw fault('TENSOR_FILE_UNSUPPORTED', `${adapter.path} has no lora_A tensors: it is not a LoRA adapter.`);
}

/** The module's name in a plain text model, wherever a multimodal one nests it. */
function modelName(target: string): string {
  const inBlock = /(?:^|\.)(layers\.\d+\..+)$/.exec(target);
  return inBlock ? `model.${inBlock[1]}` : target.replace(/^language_model\./, '');
}

/** PEFT matches a pattern's key, a regular expression, against the end of the module's name; plain names are read here. */
function patternValue(
  path: string,
  pattern: Record<string, number> | null | undefined,
  target: string,
): number | undefined {
  for (const [key, value] of Object.entries(pattern ?? {})) {
    if (!/^[\w.]+$/.test(key))
      throw unsupportedFile(path, 'a key of rank_pattern or alpha_pattern', key, 'Plain module names are.');
    if (target === key || target.endsWith(`.${key}`)) return value;
  }
  return undefined;
}
