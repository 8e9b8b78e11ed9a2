/** Deny by default: beyond loopback nobody is served who has not proved who they are, unless a person has said so out loud. */
import { fault } from '../errors/fault.js';
import type { Edge } from './edge.js';

/** Whether only this machine can reach "host:port". */
export const isLoopback = (address: string): boolean => {
  const host = address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
};

type Policy = Pick<Edge, 'authenticates' | 'allowsInsecure'>;

/** Throws CONFIG_INVALID for an address beyond loopback without authentication. */
export const assertMayListen = (address: string, { authenticates, allowsInsecure }: Policy): void => {
  if (isLoopback(address) || authenticates || allowsInsecure) return;
  throw fault(
    'CONFIG_INVALID',
    `${address} can be reached from other machines, and no authentication is configured. Listen on 127.0.0.1, or set REFUSALSCOPE_JWKS ` +
      'or the REFUSALSCOPE_TLS_ files, or say REFUSALSCOPE_INSECURE=1 if the network itself keeps others out.',
  );
};

/** The same for the console, which has no login at all. */
export const assertConsoleMayListen = (address: string, { allowsInsecure }: Policy): void => {
  if (isLoopback(address) || allowsInsecure) return;
  throw fault(
    'CONFIG_INVALID',
    `The console's ${address} can be reached from other machines, and the console has no login. Listen on 127.0.0.1 and put a proxy that ` +
      'asks for a login before it, or say REFUSALSCOPE_INSECURE=1 if the network itself keeps others out.',
  );
};
