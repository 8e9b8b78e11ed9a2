/**
 * The settings of a process, read once in a main.ts into a frozen, typed object: the environment, and a file under it. Every fault is
 * reported together, so that a person fixes a deployment in one go. The only door to zod for settings; a value is never echoed, as it may
 * be a secret.
 */
import { z } from 'zod';
import { fault } from '../errors/fault.js';
import { readSettingsFile, type Section, type SettingTexts } from './settings-file.js';

export { z } from 'zod';

export type Environment = Readonly<Record<string, string | undefined>>;
export type SettingsOf<Shape extends z.ZodRawShape> = Readonly<z.infer<z.ZodObject<Shape>>>;

/** The environment variable that names the file. */
export const CONFIG_FILE = 'REFUSALSCOPE_CONFIG';

/**
 * `shape` maps the names of environment variables to zod schemas of their text. Empty text counts as not set. With a `section`, what the
 * environment leaves open is looked for in the file that REFUSALSCOPE_CONFIG names. Throws CONFIG_INVALID with every fault.
 */
export const loadConfig = <Shape extends z.ZodRawShape>(
  shape: Shape,
  environment: Environment = process.env,
  section?: Section,
): SettingsOf<Shape> => {
  const file = fileTexts(environment, section);
  const given = Object.fromEntries(
    Object.keys(shape).map((name) => [name, environment[name] || file[name] || undefined]),
  );
  const result = z.object(shape).safeParse(given);
  const unknown = Object.keys(file).filter((name) => !(name in shape));
  const faults = [
    ...unknown.map((name) => `${name}: no setting of ${section} (in ${environment[CONFIG_FILE]})`),
    ...(result.error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`),
  ];
  if (result.success && faults.length === 0) return Object.freeze(result.data);
  const place = Object.keys(file).length > 0 ? 'environment and the settings file have' : 'environment has';
  throw fault('CONFIG_INVALID', `The ${place} ${faults.length} faulty settings:\n  ${faults.join('\n  ')}`);
};

const fileTexts = (environment: Environment, section: Section | undefined): SettingTexts => {
  const path = environment[CONFIG_FILE];
  return section === undefined || path === undefined || path === '' ? {} : readSettingsFile(path, section);
};

export interface SettingRow {
  readonly name: string;
  /** As the process would read it; "[hidden]" for a secret; undefined: not set, and without a default. */
  readonly value: unknown;
  readonly source: 'environment' | 'file' | 'default';
}

/** The settings as they are in effect, with secrets hidden. Throws as `loadConfig` does. */
export const describeConfig = (shape: z.ZodRawShape, environment: Environment, section: Section): SettingRow[] => {
  const values = loadConfig(shape, environment, section) as Readonly<Record<string, unknown>>;
  const file = fileTexts(environment, section);
  return Object.entries(shape).map(([name, schema]) => {
    const source = environment[name] ? 'environment' : file[name] ? 'file' : 'default';
    const value = values[name];
    return {
      name,
      value: value === undefined ? undefined : isSecret(schema) ? '[hidden]' : withoutPassword(value),
      source,
    };
  });
};

const SECRET = { secret: true };

/** Text that is never shown. */
export const secretText = () => z.string().meta(SECRET);

const isSecret = (schema: unknown): boolean => {
  const inner: unknown = Reflect.get(Object(Reflect.get(schema as object, 'def')), 'innerType');
  return (schema as z.ZodType).meta?.()?.secret === true || (inner !== undefined && isSecret(inner));
};

/** A URL may hold a password. */
const withoutPassword = (value: unknown): unknown =>
  typeof value === 'string' ? value.replace(/(:\/\/[^/@:\s]*):[^/@\s]*@/g, '$1:[hidden]@') : value;

const isAddress = (value: string): boolean => {
  const port = /^(?:\[[^\]]+\]|[^:\s]+):(\d{1,5})$/.exec(value)?.[1];
  return port !== undefined && Number(port) <= 65_535;
};

/** "host:port", port 0 to 65,535. */
export const addressText = () => z.string().refine(isAddress, { message: 'must be host:port, such as 127.0.0.1:7001' });

const SEVERAL = 'ipv4:';

/** Where a peer is: "host:port", or "ipv4:" and the addresses of several pods that no name stands for. */
export const peerAddressText = () =>
  z
    .string()
    .refine(
      (value) =>
        value.startsWith(SEVERAL) ? value.slice(SEVERAL.length).split(',').every(isAddress) : isAddress(value),
      { message: 'must be host:port, such as 127.0.0.1:7001, or ipv4: and several of them with commas between' },
    );

/** A whole number within bounds, from its decimal text. */
export const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d+$/, 'must be a whole number')
    .transform(Number)
    .refine((value) => value >= min && value <= max, { message: `must be between ${min} and ${max}` });

/** Comma-separated text, without empty parts. */
export const textList = () =>
  z.string().transform((value) =>
    value
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
