/**
 * The client middleware that says who this process is: its token, read again when the file changes (mounted tokens are renewed), and on
 * whose behalf it works. The token goes over TLS or loopback alone.
 */
import { readFile } from 'node:fs/promises';
import { type ClientMiddleware, Metadata } from 'nice-grpc';
import { fault } from '../errors/fault.js';
import { ON_BEHALF_OF_KEY } from './authorization.js';
import { currentPrincipal } from './principal.js';

export interface TokenSource {
  readonly token?: string | undefined;
  /** A file that holds the token and nothing else. */
  readonly tokenFile?: string | undefined;
}

const REREAD_MS = 5_000;
const MAX_TOKEN_LENGTH = 8192;

/** Throws CONFIG_INVALID at a call if the token file cannot be read. */
export const createCallerToken = ({ token, tokenFile }: TokenSource): ClientMiddleware => {
  let kept: { readonly text: string; readonly at: number } | undefined;
  const read = async (path: string): Promise<string> => {
    if (kept !== undefined && Date.now() - kept.at < REREAD_MS) return kept.text;
    const text = await readTokenFile(path);
    kept = { text, at: Date.now() };
    return text;
  };
  return async function* callerToken(call, options) {
    const own = tokenFile === undefined ? token : await read(tokenFile);
    const metadata = Metadata(options.metadata);
    if (own !== undefined && !metadata.has('authorization')) metadata.set('authorization', `Bearer ${own}`);
    const asker = askerOf();
    if (asker !== undefined) metadata.set(ON_BEHALF_OF_KEY, asker);
    return yield* call.next(call.request, { ...options, metadata });
  };
};

const askerOf = (): string | undefined => {
  const principal = currentPrincipal();
  if (principal?.kind === 'token') return principal.subject.replace(/[^\w.:@|/+-]/g, '_');
  return principal?.onBehalfOf;
};

const readTokenFile = async (path: string): Promise<string> => {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw fault('CONFIG_INVALID', `The token file ${path} cannot be read.`, { cause });
  });
  const token = text.trim();
  if (token === '' || token.length > MAX_TOKEN_LENGTH || /\s/.test(token)) {
    throw fault(
      'CONFIG_INVALID',
      `The token file ${path} must hold one token of at most ${MAX_TOKEN_LENGTH} characters.`,
    );
  }
  return token;
};
