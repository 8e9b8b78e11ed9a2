/** What services are told: each broken in one way. */
import { podOf } from '../manifest.js';
import { type Breaks, inContainer, inSetting, inWorkload, without } from './break.js';

export const BREAKS_OF_SETTINGS: Breaks = {
  'a misspelt setting': [
    inSetting('inference', 'REFUSALSCOPE_THREAD', '4'),
    /the config of inference does not know REFUSALSCOPE_THREAD$/,
  ],
  'a setting of another service': [
    inSetting('fm', 'REFUSALSCOPE_SAE_CACHE_MB', '4'),
    /the config of fm does not know REFUSALSCOPE_SAE_CACHE_MB/,
  ],
  'a setting twice': [
    inContainer('fm', (container) => {
      container.env!.push({ name: 'REFUSALSCOPE_LOG_LEVEL', value: 'warn' });
    }),
    /REFUSALSCOPE_LOG_LEVEL is set twice/,
  ],
  'a missing setting': [
    inSetting('coordinator', 'REFUSALSCOPE_FM_ADDRESS', undefined),
    /the service would not start: [\s\S]*REFUSALSCOPE_FM_ADDRESS/,
  ],
  'a value out of range': [
    inSetting('inference', 'REFUSALSCOPE_THREADS', '0'),
    /the service would not start: [\s\S]*REFUSALSCOPE_THREADS: must be between/,
  ],
  'loopback alone': [
    inSetting('search', 'REFUSALSCOPE_SEARCH_LISTEN', '127.0.0.1:7003'),
    /listens on 127.0.0.1:7003, where no other pod reaches it/,
  ],
  'an unusual port': [inSetting('search', 'REFUSALSCOPE_SEARCH_LISTEN', '0.0.0.0:7013'), /not on its usual one/],
  'an undeclared port': [
    inContainer('coordinator', (container) => {
      container.ports!.pop();
    }),
    /declares ports 7000,7080,7090 and listens on 7000,7080,7090,9464/,
  ],
  'a probe of another port': [
    inContainer('sae', (container) => {
      container.livenessProbe!.grpc!.port = 7001;
    }),
    /sae livenessProbe: asks port 7001, health is answered at 7090/,
  ],
  'a probe of another service': [
    inContainer('sae', (container) => {
      container.readinessProbe!.grpc!.service = 'refusalscope.v1.Sae';
    }),
    /asks for "refusalscope.v1.Sae", not for "refusalscope.v1.SaeService"/,
  ],
  'liveness that goes away with readiness': [
    inContainer('sae', (container) => {
      delete container.livenessProbe!.grpc!.service;
    }),
    /sae livenessProbe: asks for "", not for "liveness"/,
  ],
  'no bus': [
    inSetting('search', 'REFUSALSCOPE_NATS_SERVERS', undefined),
    /Deployment search: knows REFUSALSCOPE_NATS_SERVERS, and it is not set/,
  ],
  'half of the certificate files': [
    inSetting('fm', 'REFUSALSCOPE_TLS_KEY', undefined),
    /the service would not start: [\s\S]*REFUSALSCOPE_TLS_KEY: set all of/,
  ],
  'no startup probe': [
    inContainer('inference', (container) => {
      delete container.startupProbe;
    }),
    /inference startupProbe: there is none by gRPC/,
  ],
  'more threads than CPUs': [inSetting('inference', 'REFUSALSCOPE_THREADS', '9'), /runs 9 threads on 4 CPUs/],
  'a cache that fills its limit': [
    inSetting('inference', 'REFUSALSCOPE_CACHE_MB', '4000'),
    /keeps 4000 MiB of cache in a limit of 4Gi/,
  ],
  'a path on no volume': [inSetting('coordinator', 'REFUSALSCOPE_STATE_DIR', '/data'), /\/data is on no volume/],
  'a read-only state': [
    inContainer('coordinator', (container) => {
      container.volumeMounts![0]!.readOnly = true;
    }),
    /\/state is mounted read-only/,
  ],
  'a path that the image lacks': [
    inSetting('inference', 'REFUSALSCOPE_ADAPTER_PATH', '/app/adapter'),
    /the image has no/,
  ],
  'another model file': [
    inSetting('inference', 'REFUSALSCOPE_MODEL_PATH', '/models/model.gguf'),
    /the model is fetched to another path/,
  ],
  'a program that is not there': [
    inWorkload('inference', (workload) => {
      podOf(workload).initContainers![0]!.args = ['deploy/fetch.mjs'];
    }),
    /there is no program deploy\/fetch.mjs/,
  ],
  'a service that nothing runs': [without('Deployment', 'fm'), /no workload runs fm/],
};
