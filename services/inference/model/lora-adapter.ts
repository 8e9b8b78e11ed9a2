/**
 * A PEFT LoRA adapter (Hu et al. 2021) merged while weights are read: W + (alpha / r) B A. Prevents an adapter of another model
 * from being applied: every pair is checked against the base weight's shape before the first read.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { fault } from '../../../shared/errors/fault.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import type { RowRange, TensorInfo, TensorSource } from '../../../shared/tensor-files/tensor-source.js';

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

interface LowRank {
  readonly a: string;
  readonly b: string;
  readonly rank: number;
  readonly scale: number;
}

const FILE = 'adapter_model.safetensors';

export class LoraMergedWeights implements TensorSource {
  private readonly pairs: ReadonlyMap<string, LowRank>;
  private readonly adapter: TensorSource;

  /** `folder` holds adapter_config.json and adapter_model.safetensors. Faults: FILE_NOT_FOUND, TENSOR_FILE_*, SHAPE_MISMATCH. */
  constructor(
    private readonly base: TensorSource,
    folder: string,
  ) {
    const config = readConfig(join(folder, 'adapter_config.json'));
    this.adapter = openSafetensors(join(folder, FILE));
    try {
      this.pairs = findPairs(this.adapter, config);
      for (const [name, pair] of this.pairs) this.checkShapes(name, pair);
    } catch (thrown) {
      this.adapter.close();
      throw thrown;
    }
  }

  get path(): string {
    return this.base.path;
  }
  list(): readonly TensorInfo[] {
    return this.base.list();
  }
  has(name: string): boolean {
    return this.base.has(name);
  }
  info(name: string): TensorInfo {
    return this.base.info(name);
  }
  readColumns(name: string, columns: readonly number[]): Float32Array {
    if (!this.pairs.has(name)) return this.base.readColumns(name, columns);
    throw fault('UNSUPPORTED', `Columns of ${name} are not read under an adapter.`);
  }
  close(): void {
    this.base.close();
    this.adapter.close();
  }

  readFloat32(name: string, rows?: RowRange): Float32Array {
    const weight = this.base.readFloat32(name, rows);
    const pair = this.pairs.get(name);
    if (pair !== undefined) {
      addLowRank(
        weight,
        this.adapter.readFloat32(pair.b, rows),
        this.adapter.readFloat32(pair.a),
        pair.rank,
        pair.scale,
      );
    }
    return weight;
  }

  private checkShapes(name: string, { a, b, rank }: LowRank): void {
    if (!this.base.has(name)) {
      throw fault(
        'SHAPE_MISMATCH',
        `The adapter changes ${name}, which the model does not have: it is for another model.`,
      );
    }
    const [out, width] = this.base.info(name).shape;
    const [aRows, aColumns] = this.adapter.info(a).shape;
    const [bRows, bColumns] = this.adapter.info(b).shape;
    if (aRows === rank && bColumns === rank && aColumns === width && bRows === out) return;
    throw fault(
      'SHAPE_MISMATCH',
      `The adapter's ${name} is [${bRows}, ${bColumns}] x [${aRows}, ${aColumns}] with rank ${rank}; the model's weight is [${out}, ${width}]. Use the adapter that was trained on this model.`,
    );
  }
}

/** The weights with the adapter merged in, or as they are where no adapter is given. */
export const withAdapter = (base: TensorSource, folder: string | undefined): TensorSource =>
  folder === undefined ? base : new LoraMergedWeights(base, folder);

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

function findPairs(adapter: TensorSource, config: z.infer<typeof AdapterConfig>): Map<string, LowRank> {
  const pairs = new Map<string, LowRank>();
  for (const { name } of adapter.list()) {
    const match = /^(?:base_model\.model\.)?(.+)\.lora_A(?:\.default)?\.weight$/.exec(name);
    if (!match) continue;
    const target = match[1];
    const rank = patternValue(config.rank_pattern, target) ?? config.r;
    const alpha = patternValue(config.alpha_pattern, target) ?? config.lora_alpha;
    const scale = alpha / (config.use_rslora ? Math.sqrt(rank) : rank);
    pairs.set(`${target}.weight`, { a: name, b: name.replace('.lora_A', '.lora_B'), rank, scale });
  }
  if (pairs.size > 0) return pairs;
  throw fault('TENSOR_FILE_UNSUPPORTED', `${adapter.path} has no lora_A tensors: it is not a LoRA adapter.`);
}

/** PEFT matches a pattern's key against the end of the module's name. */
function patternValue(pattern: Record<string, number> | null | undefined, target: string): number | undefined {
  const key = Object.keys(pattern ?? {}).find((suffix) => target === suffix || target.endsWith(`.${suffix}`));
  return key === undefined ? undefined : pattern?.[key];
}

/** w [n, m] += scale * b [n, r] a [r, m], in place. */
function addLowRank(w: Float32Array, b: Float32Array, a: Float32Array, rank: number, scale: number): void {
  const columns = a.length / rank;
  const rows = b.length / rank;
  for (let i = 0; i < rows; i++) {
    const row = w.subarray(i * columns, (i + 1) * columns);
    for (let k = 0; k < rank; k++) {
      const factor = scale * b[i * rank + k];
      const aRow = a.subarray(k * columns, (k + 1) * columns);
      for (let j = 0; j < columns; j++) row[j] += factor * aRow[j];
    }
  }
}
