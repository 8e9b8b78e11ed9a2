/**
 * A certificate, its key and the certificate authority of the mesh, read from disk and read again when they change, without a restart.
 * What does not fit together (half of a renewal, a wrong key) is passed over and the last good set stays in use.
 */
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Fault, fault } from '../errors/fault.js';
import type { Logger } from '../log/create-logger.js';

export interface TlsPaths {
  /** PEM: this process's certificate, and the chain behind it. */
  readonly cert: string;
  readonly key: string;
  /** PEM: who may sign the other side's certificate. */
  readonly ca: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

export interface TlsFiles {
  readonly current: TlsMaterial;
  /** Called with each new set. */
  onChange(listener: (material: TlsMaterial) => void): void;
  stop(): void;
}

export interface TlsFilesOptions {
  readonly logger: Logger;
  /** Between two looks at the files. Polling, as secrets are mounted as links that file watchers lose. */
  readonly pollMs: number;
  readonly onReload: (outcome: 'loaded' | 'kept') => void;
}

/** Throws CONFIG_INVALID if the files cannot be read or do not fit together. */
export const openTlsFiles = async (paths: TlsPaths, options: TlsFilesOptions): Promise<TlsFiles> => {
  let current = await readMaterial(paths);
  let seen = digestOf(current);
  const listeners: ((material: TlsMaterial) => void)[] = [];
  const look = async (): Promise<void> => {
    const found = await readFiles(paths).catch((thrown: unknown) => thrown as Fault);
    const digest = found instanceof Error ? found.message : digestOf(found);
    if (digest === seen) return;
    seen = digest;
    const problem = found instanceof Error ? found : problemOf(found, paths);
    options.onReload(problem === undefined ? 'loaded' : 'kept');
    if (problem !== undefined || found instanceof Error) {
      options.logger.error({ err: problem }, 'new certificates cannot be used; the old ones stay');
      return;
    }
    current = found;
    for (const listener of listeners) listener(current);
    options.logger.info({ expires: new X509Certificate(current.cert).validTo }, 'certificates loaded');
  };
  const timer = setInterval(() => void look(), options.pollMs).unref();
  return {
    get current() {
      return current;
    },
    onChange: (listener) => void listeners.push(listener),
    stop: () => clearInterval(timer),
  };
};

const readMaterial = async (paths: TlsPaths): Promise<TlsMaterial> => {
  const material = await readFiles(paths);
  const problem = problemOf(material, paths);
  if (problem !== undefined) throw problem;
  return material;
};

const readFiles = async (paths: TlsPaths): Promise<TlsMaterial> => {
  const read = (path: string): Promise<Buffer> =>
    readFile(path).catch((cause: unknown) => {
      const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
      throw fault('CONFIG_INVALID', `The TLS file ${path} cannot be read: ${code}.`, { cause });
    });
  const [cert, key, ca] = await Promise.all([read(paths.cert), read(paths.key), read(paths.ca)]);
  return { cert, key, ca };
};

const problemOf = ({ cert, key, ca }: TlsMaterial, paths: TlsPaths): Fault | undefined => {
  const leaf = parse(() => new X509Certificate(cert));
  if (leaf === undefined) return fault('CONFIG_INVALID', `${paths.cert} holds no PEM certificate.`);
  const privateKey = parse(() => createPrivateKey(key));
  if (privateKey === undefined) return fault('CONFIG_INVALID', `${paths.key} holds no PEM private key.`);
  if (parse(() => new X509Certificate(ca)) === undefined) {
    return fault('CONFIG_INVALID', `${paths.ca} holds no PEM certificate.`);
  }
  if (!leaf.checkPrivateKey(privateKey)) {
    return fault('CONFIG_INVALID', `The key ${paths.key} does not belong to the certificate ${paths.cert}.`);
  }
  return undefined;
};

const parse = <Value>(read: () => Value): Value | undefined => {
  try {
    return read();
  } catch {
    return undefined;
  }
};

const digestOf = ({ cert, key, ca }: TlsMaterial): string =>
  [cert, key, ca].map((part) => createHash('sha256').update(part).digest('hex')).join();
