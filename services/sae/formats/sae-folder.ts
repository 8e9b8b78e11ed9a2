/**
 * A folder that may hold an SAE: its files, its config as bounded JSON, and the checks that every format shares. It prevents a
 * hostile or mistyped config from passing as a smaller, plausible SAE: what is missing or out of range is named, never defaulted.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { type Fault, fault } from '../../../shared/errors/fault.js';
import { parseBoundedJson } from '../../../shared/tensor-files/json-bounds.js';
import { quoted } from '../../../shared/tensor-files/tensor-file-faults.js';

/** SAE configs are some 2 kB; one with a whole training run inside is below 100 kB. */
const MAX_CONFIG_BYTES = 1 << 20;
const CONFIG_BOUNDS = { maxDepth: 12, maxItems: 20_000, maxKeys: 2000 };

export class SaeFolder {
  readonly files: ReadonlySet<string>;

  constructor(readonly path: string) {
    this.files = new Set(readdirSync(path));
  }

  has(file: string): boolean {
    return this.files.has(file) || (file.includes('/') && existsSync(join(this.path, file)));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** The last folders of the path: where releases put layer, width and L0. */
  get names(): readonly string[] {
    return this.path
      .split(sep)
      .filter((name) => name !== '')
      .slice(-4);
  }

  config(name: string): Config {
    const path = this.file(name);
    const { size } = statSync(path);
    if (size > MAX_CONFIG_BYTES)
      throw fault('CONFIG_INVALID', `${path} has ${size} bytes; the config of an SAE has at most ${MAX_CONFIG_BYTES}.`);
    return new Config(path, parseBoundedJson(path, 'the config', readFileSync(path), CONFIG_BOUNDS));
  }
}

/** Typed access to one JSON object of a config. `null` counts as absent, as SAELens writes it. */
export class Config {
  constructor(
    readonly path: string,
    private readonly values: Readonly<Record<string, unknown>>,
    private readonly prefix = '',
  ) {}

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  raw(key: string): unknown {
    return Object.hasOwn(this.values, key) ? (this.values[key] ?? undefined) : undefined;
  }

  section(key: string): Config {
    const value = this.raw(key) ?? {};
    if (typeof value !== 'object' || Array.isArray(value)) throw this.invalid(key, 'an object');
    return new Config(this.path, value as Record<string, unknown>, `${this.prefix}${key}.`);
  }

  text(key: string): string {
    const value = this.raw(key);
    if (typeof value !== 'string') throw this.invalid(key, 'text');
    return value;
  }

  textOr<Default>(key: string, absent: Default): string | Default {
    return this.has(key) ? this.text(key) : absent;
  }

  flagOr(key: string, absent: boolean): boolean {
    const value = this.raw(key) ?? absent;
    if (typeof value !== 'boolean') throw this.invalid(key, 'true or false');
    return value;
  }

  wholeNumber(key: string, min: number, max: number): number {
    const value = this.raw(key);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw this.invalid(key, `a whole number between ${min} and ${max}`);
    return value;
  }

  positive(key: string): number {
    const value = this.raw(key);
    if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) throw this.invalid(key, 'a number above 0');
    return value;
  }

  positiveOr<Default>(key: string, absent: Default): number | Default {
    return this.has(key) ? this.positive(key) : absent;
  }

  invalid(key: string, wanted: string): Fault {
    const value = this.raw(key);
    const given = value === undefined ? 'missing' : quoted(JSON.stringify(value) ?? String(value));
    return fault('CONFIG_INVALID', `${this.path}: ${this.prefix}${key} is ${given}; it must be ${wanted}.`);
  }

  unsupported(key: string, hint: string): Fault {
    return fault(
      'TENSOR_FILE_UNSUPPORTED',
      `${this.path}: ${this.prefix}${key} is ${quoted(String(JSON.stringify(this.raw(key))))}, which is not read here. ${hint}`,
    );
  }
}

/** Widths and sizes beyond these are no SAE that exists: the largest published has 2^20 features, the widest model 16,384. */
export const MAX_D_IN = 65_536;
export const MAX_D_SAE = 1 << 22;
