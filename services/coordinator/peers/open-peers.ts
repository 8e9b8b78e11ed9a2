/** The four services that an audit needs, connected once. Prevents: an audit that starts while one of them is away. */
import { FmServiceDefinition } from '../../../proto/gen/refusalscope/v1/fm.js';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { SearchServiceDefinition } from '../../../proto/gen/refusalscope/v1/search.js';
import { connect, type ServiceClient } from '../../../shared/rpc/connect.js';
import { type Edge, localEdge } from '../../../shared/rpc/edge.js';

export interface PeerAddresses {
  readonly inferenceAddress: string;
  readonly saeAddress: string;
  readonly searchAddress: string;
  readonly fmAddress: string;
}

export interface Peers {
  readonly inference: ServiceClient<typeof InferenceServiceDefinition>;
  readonly sae: ServiceClient<typeof SaeServiceDefinition>;
  readonly search: ServiceClient<typeof SearchServiceDefinition>;
  readonly fm: ServiceClient<typeof FmServiceDefinition>;
  /** PEER_UNAVAILABLE, with the address, for the first one that does not answer in time. */
  waitUntilReady(limitMs: number): Promise<void>;
  close(): void;
}

export const openPeers = (addresses: PeerAddresses, edge: Edge = localEdge): Peers => {
  const inference = connect(InferenceServiceDefinition, addresses.inferenceAddress, { edge });
  const sae = connect(SaeServiceDefinition, addresses.saeAddress, { edge });
  const search = connect(SearchServiceDefinition, addresses.searchAddress, { edge });
  const fm = connect(FmServiceDefinition, addresses.fmAddress, { edge });
  const all = [inference, sae, search, fm];
  return {
    inference: inference.client,
    sae: sae.client,
    search: search.client,
    fm: fm.client,
    waitUntilReady: async (limitMs) => {
      await Promise.all(all.map((peer) => peer.waitUntilReady(limitMs)));
    },
    close: () => {
      for (const peer of all) peer.close();
    },
  };
};
