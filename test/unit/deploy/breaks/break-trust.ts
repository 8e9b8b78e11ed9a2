/** Certificates, tokens and metrics: each broken in one way. */
import { certificatesOf, mainContainerOf, serviceMonitorsOf, servicesOf, workloadsOf } from '../manifest.js';
import { type Breaks, inSetting, named, without } from './break.js';

export const BREAKS_OF_TRUST: Breaks = {
  'no certificates': [
    (manifests) => {
      const container = mainContainerOf(named(workloadsOf(manifests), 'fm'));
      container.env = container.env!.filter(({ name }) => !name.startsWith('REFUSALSCOPE_TLS_'));
    },
    /fm: serves without certificates/,
  ],
  'calls without authentication': [
    inSetting('fm', 'REFUSALSCOPE_INSECURE', '1'),
    /fm: allows calls without authentication/,
  ],
  'callers without a certificate': [
    inSetting('inference', 'REFUSALSCOPE_TLS_CLIENTS', 'request'),
    /inference: lets callers in without a certificate/,
  ],
  'no proof of callers at all': [
    inSetting('coordinator', 'REFUSALSCOPE_TLS_CLIENTS', 'none'),
    /coordinator: asks callers for no certificate/,
  ],
  'the bus in plain text': [
    inSetting('inference', 'REFUSALSCOPE_NATS_SERVERS', 'nats://nats:4222'),
    /inference: speaks to NATS in plain text/,
  ],
  'no tokens of people': [
    inSetting('coordinator', 'REFUSALSCOPE_JWKS', undefined),
    /coordinator: takes no tokens of people/,
  ],
  'a certificate file elsewhere': [
    inSetting('sae', 'REFUSALSCOPE_TLS_CA', '/tls/authority.crt'),
    /sae: REFUSALSCOPE_TLS_CA is no file of its Secret/,
  ],
  'no certificate': [without('Certificate', 'sae'), /sae: nothing makes its Secret sae-tls/],
  'a certificate of another service': [
    (manifests) => {
      named(certificatesOf(manifests), 'sae').spec.uris = ['spiffe://refusalscope/service/coordinator'];
    },
    /sae: its certificate does not say which service it is/,
  ],
  'a certificate for another name': [
    (manifests) => {
      named(certificatesOf(manifests), 'sae').spec.dnsNames = ['sae.example'];
    },
    /sae: its certificate lacks a name by which it is dialled/,
  ],
  'a certificate that cannot call': [
    (manifests) => {
      named(certificatesOf(manifests), 'search').spec.usages = ['server auth'];
    },
    /search: its certificate cannot both serve and call/,
  ],
  'an issuer that is not there': [
    (manifests) => {
      named(certificatesOf(manifests), 'search').spec.issuerRef.name = 'ca';
    },
    /Certificate search: there is no issuer ca/,
  ],
  'a certificate that is renewed too late': [
    (manifests) => {
      named(certificatesOf(manifests), 'search').spec.renewBefore = '720h';
    },
    /Certificate search: is not renewed before it ends/,
  ],
  'metrics that Prometheus may not fetch': [
    without('NetworkPolicy', 'metrics'),
    /namespace monitoring -> fm:9464 is needed and not allowed into the pod/,
  ],
  'a Service without the metrics port': [
    (manifests) => {
      named(servicesOf(manifests), 'fm').spec.ports.pop();
    },
    /Service fm has no port metrics/,
  ],
  'a monitor that watches nothing': [
    (manifests) => {
      serviceMonitorsOf(manifests)[0]!.spec.selector.matchLabels = { app: 'refusalscope' };
    },
    /ServiceMonitor refusalscope: watches 0 Services/,
  ],
};
