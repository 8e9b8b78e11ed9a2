/** The peers as one audit sees them: its calls to search carry its id, so that evaluations take turns among audits. */
import { withAudit } from '../../../shared/rpc/caller-header.js';
import type { Peers } from './open-peers.js';

export const peersOfAudit = (peers: Peers, auditId: string): Peers => {
  const metadata = withAudit(auditId);
  const tagged = Object.entries(peers.search).map(([name, method]) => [
    name,
    (request: never, options: object | undefined) => method(request, { ...options, metadata }),
  ]);
  return { ...peers, search: Object.fromEntries(tagged) as Peers['search'] };
};
