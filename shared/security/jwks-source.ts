/**
 * The keys that tokens are checked against, from a file or a URL: kept for minutes, read again when a token names an unknown key (but not
 * more often than the cooldown), and bounded in bytes and time. Prevents: an identity provider that a flood of bad tokens takes down.
 */
import { readFile, stat } from 'node:fs/promises';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { fault } from '../errors/fault.js';
import { isLoopback } from '../rpc/listen-policy.js';

export interface JwksSource {
  /** The keys; `mustBeNewerThan` asks for another reading than the one that gave those, if the cooldown allows it. */
  keys(mustBeNewerThan?: JWTVerifyGetKey): Promise<JWTVerifyGetKey>;
}

export interface JwksTimes {
  readonly maxAgeMs: number;
  readonly cooldownMs: number;
}

// Key sets have a handful of keys of some 500 bytes.
const MAX_BYTES = 1 << 20;
const MAX_KEYS = 256;
const FETCH_LIMIT_MS = 5_000;
const FILE_TIMES: JwksTimes = { maxAgeMs: 60_000, cooldownMs: 1_000 };
const URL_TIMES: JwksTimes = { maxAgeMs: 600_000, cooldownMs: 30_000 };

export const isUrl = (location: string): boolean => /^https?:/i.test(location);

/** `location`: a path, or an https URL (http on loopback alone). Throws CONFIG_INVALID for another URL; reads nothing yet. */
export const createJwksSource = (
  location: string,
  times: JwksTimes = isUrl(location) ? URL_TIMES : FILE_TIMES,
): JwksSource => {
  const read = isUrl(location) ? createUrlReader(location) : () => readJwksFile(location);
  let kept: { readonly keys: JWTVerifyGetKey; readonly at: number } | undefined;
  let reading: Promise<JWTVerifyGetKey> | undefined;
  const refresh = async (): Promise<JWTVerifyGetKey> => {
    try {
      const keys = localKeys(parseJwks(await read(), location), location);
      kept = { keys, at: Date.now() };
      return keys;
    } catch (thrown) {
      // Old keys are better than none while the provider is away; the next call after the cooldown tries again.
      if (kept === undefined) throw thrown;
      kept = { keys: kept.keys, at: Date.now() };
      return kept.keys;
    } finally {
      reading = undefined;
    }
  };
  return {
    keys: async (mustBeNewerThan) => {
      const age = kept === undefined ? Number.POSITIVE_INFINITY : Date.now() - kept.at;
      const wantsNew = kept !== undefined && kept.keys === mustBeNewerThan && age > times.cooldownMs;
      if (kept !== undefined && age < times.maxAgeMs && !wantsNew) return kept.keys;
      reading ??= refresh();
      return reading;
    },
  };
};

const parseJwks = (text: string, location: string): JSONWebKeySet => {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  const keys = (parsed as { readonly keys?: unknown } | undefined)?.keys;
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > MAX_KEYS) {
    throw unreadable(location, `it is no key set with 1 to ${MAX_KEYS} keys`);
  }
  // A symmetric key would let every verifier also sign.
  if (keys.some((key) => typeof key !== 'object' || key === null || Reflect.get(key, 'kty') === 'oct')) {
    throw unreadable(location, 'it holds a symmetric key; only public keys belong here');
  }
  return parsed as JSONWebKeySet;
};

/** The library has checks of its own. */
const localKeys = (jwks: JSONWebKeySet, location: string): JWTVerifyGetKey => {
  try {
    return createLocalJWKSet(jwks);
  } catch (cause) {
    throw unreadable(location, 'it holds something that is no key', cause);
  }
};

const readJwksFile = async (path: string): Promise<string> => {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) throw unreadable(path, `it has ${size} bytes; at most ${MAX_BYTES} are read`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') throw unreadable(path, 'no such file');
    throw cause;
  }
};

const createUrlReader = (location: string): (() => Promise<string>) => {
  const url = new URL(location);
  if (url.protocol !== 'https:' && !isLoopback(`${url.hostname}:0`)) {
    throw fault('CONFIG_INVALID', `REFUSALSCOPE_JWKS is ${url.origin}: keys are fetched over https alone.`);
  }
  return async () => {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(FETCH_LIMIT_MS), redirect: 'error' });
      if (!response.ok) throw unreadable(url.origin, `the answer was HTTP ${response.status}`);
      return await readBounded(response, url.origin);
    } catch (cause) {
      throw cause instanceof Error && cause.name === 'Fault'
        ? cause
        : unreadable(url.origin, 'it did not answer', cause);
    }
  };
};

const readBounded = async (response: Response, origin: string): Promise<string> => {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += part.length;
    if (bytes > MAX_BYTES) throw unreadable(origin, `it sends more than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};

const unreadable = (location: string, why: string, cause?: unknown) =>
  fault('CONFIG_INVALID', `The keys for tokens cannot be read from ${location}: ${why}.`, { cause });
