/**
 * Settings from a file: JSON whose parts are "shared" and the names of services, and whose entries have the names of the environment. The
 * environment wins. Bounded, and strict about what it does not know: a typo must not run a mesh on defaults.
 */
import { readFileSync, statSync } from 'node:fs';
import { fault } from '../errors/fault.js';

export const SECTIONS = ['shared', 'inference', 'sae', 'search', 'fm', 'coordinator'] as const;
export type Section = (typeof SECTIONS)[number];

export type SettingTexts = Readonly<Record<string, string>>;

const MAX_BYTES = 1 << 20;

/** The entries for one service: those of "shared", then its own over them. Throws FILE_NOT_FOUND and CONFIG_INVALID. */
export const readSettingsFile = (path: string, section: Section): SettingTexts => {
  const parsed = parse(path);
  const unknown = Object.keys(parsed).filter((name) => !(SECTIONS as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw fault(
      'CONFIG_INVALID',
      `${path} has parts that are not known: ${unknown.join(', ')}. Known: ${SECTIONS.join(', ')}.`,
    );
  }
  return { ...textsOf(parsed.shared, 'shared', path), ...textsOf(parsed[section], section, path) };
};

const parse = (path: string): Record<string, unknown> => {
  let text: string;
  try {
    const { size } = statSync(path);
    if (size > MAX_BYTES) {
      throw fault('CONFIG_INVALID', `${path} has ${size} bytes; a file of settings has at most ${MAX_BYTES}.`);
    }
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'Fault') throw cause;
    throw fault('FILE_NOT_FOUND', `The settings file ${path} (REFUSALSCOPE_CONFIG) cannot be read.`, { cause });
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (isPlainObject(parsed)) return parsed;
  } catch {
    // Told below; the parser's own text would quote the file, and with it perhaps a secret.
  }
  throw fault('CONFIG_INVALID', `${path} is no JSON object.`);
};

const textsOf = (part: unknown, section: string, path: string): SettingTexts => {
  if (part === undefined) return {};
  if (!isPlainObject(part)) throw fault('CONFIG_INVALID', `The part "${section}" of ${path} must be an object.`);
  return Object.fromEntries(
    Object.entries(part).map(([name, value]) => {
      const text = textOf(value);
      if (text !== undefined) return [name, text];
      throw fault(
        'CONFIG_INVALID',
        `${section}.${name} of ${path} must be a text, a number, true, false, or a list of texts.`,
      );
    }),
  );
};

const textOf = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',');
  return undefined;
};

const isPlainObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
