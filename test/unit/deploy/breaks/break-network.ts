/** Who may speak to whom: each broken in one way. */
import { type Manifest, networkPoliciesOf } from '../manifest.js';
import { type Breaks, inSetting, named, without } from './break.js';

const ingressOf = (manifests: readonly Manifest[], name: string) =>
  named(networkPoliciesOf(manifests), name).spec.ingress![0]!;

export const BREAKS_OF_NETWORK: Breaks = {
  'an address without a Service': [inSetting('search', 'REFUSALSCOPE_SAE_ADDRESS', 'saes:7002'), /where no Service is/],
  'a bus elsewhere': [
    inSetting('search', 'REFUSALSCOPE_NATS_SERVERS', 'tls://bus:4222'),
    /REFUSALSCOPE_NATS_SERVERS is tls:\/\/bus:4222, where no Service is/,
  ],
  'no way to the bus': [
    without('NetworkPolicy', 'bus'),
    /inference -> nats:4222 is needed and not allowed out of the pod/,
  ],
  'no policy by default': [without('NetworkPolicy', 'deny-all'), /no network policy denies everything/],
  'an edge that is missing': [
    (manifests) => {
      ingressOf(manifests, 'sae').from!.pop();
    },
    /search -> sae:7002 is needed and not allowed into the pod/,
  ],
  'an edge too many': [
    (manifests) => {
      ingressOf(manifests, 'inference').from!.push({
        podSelector: { matchLabels: { 'app.kubernetes.io/name': 'fm' } },
      });
    },
    /fm -> inference:7001 is allowed into the pod and not needed/,
  ],
  'a port too many': [
    (manifests) => {
      ingressOf(manifests, 'coordinator').ports!.push({ port: 7080 });
    },
    /client -> coordinator:7080 is allowed into the pod and not needed/,
  ],
  'any caller': [
    (manifests) => {
      delete ingressOf(manifests, 'fm').from;
    },
    /anyone -> fm:7004 is allowed/,
  ],
  'any port': [
    (manifests) => {
      delete ingressOf(manifests, 'fm').ports;
    },
    /coordinator -> fm:any is allowed/,
  ],
  'a way out of the cluster': [
    (manifests) => {
      named(networkPoliciesOf(manifests), 'search').spec.egress!.push({
        to: [{ ipBlock: { cidr: '0.0.0.0/0' } }],
        ports: [{ port: 443 }],
      });
    },
    /search -> internet:443 is allowed out of the pod and not needed/,
  ],
};
