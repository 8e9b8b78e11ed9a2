/**
 * Owns which Host headers are answered. Prevents DNS rebinding: a foreign page whose name is made to point at 127.0.0.1 could
 * otherwise read the console through the browser of the person who runs it.
 */
import { fault } from '../../shared/errors/fault.js';

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const WILDCARDS = ['0.0.0.0', '::', '[::]', ''];

/** The name in a Host header, without its port, in lower case. */
const hostName = (header: string | undefined): string => (header ?? '').toLowerCase().replace(/:\d+$/, '');

/**
 * A test for Host headers. `hosts` are further names to accept; "*" accepts all.
 * Throws CONFIG_INVALID when the console would listen on every interface without a list of names.
 */
export function acceptedHosts(
  listenHost: string,
  hosts: readonly string[] = [],
): (header: string | undefined) => boolean {
  if (WILDCARDS.includes(listenHost) && hosts.length === 0)
    throw fault(
      'CONFIG_INVALID',
      `The console was asked to listen on "${listenHost}", every interface, without the host names to answer to: name them, or give "*" to answer to all.`,
    );
  const bracketed = listenHost.includes(':') && !listenHost.startsWith('[') ? `[${listenHost}]` : listenHost;
  const names = new Set([...LOOPBACK, bracketed.toLowerCase(), ...hosts.map((host) => host.toLowerCase())]);
  return (header) => names.has('*') || names.has(hostName(header));
}
