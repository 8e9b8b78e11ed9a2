/**
 * What each service's own config code knows: it is called with the environment that a manifest gives, and every name that it reads is
 * written down. So a setting that is renamed in the code, or misspelt in a manifest, shows at once.
 */
import { CoordinatorServiceDefinition } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { FmServiceDefinition } from '../../../proto/gen/refusalscope/v1/fm.js';
import { InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { SearchServiceDefinition } from '../../../proto/gen/refusalscope/v1/search.js';
import { loadCoordinatorConfig } from '../../../services/coordinator/config.js';
import { loadFmConfig } from '../../../services/fm/config.js';
import { loadInferenceConfig } from '../../../services/inference/config.js';
import { loadSaeConfig } from '../../../services/sae/config.js';
import { loadSearchConfig } from '../../../services/search/config.js';
import type { Environment } from '../../../shared/config/load-config.js';
import { assertEdgeSettings, type EdgeSettings } from '../../../shared/process/edge-settings.js';

export interface LoadedSettings {
  readonly listen: string;
  readonly consoleListen?: string | undefined;
  readonly threads?: number;
  readonly cacheBytes?: number;
  readonly modelName?: string;
  readonly modelPath?: string;
  readonly edge: EdgeSettings;
}

export interface ServiceFacts {
  /** The name under which health is asked for. */
  readonly fullName: string;
  readonly load: (environment: Environment) => LoadedSettings;
}

export const SERVICES: Readonly<Record<string, ServiceFacts>> = {
  coordinator: { fullName: CoordinatorServiceDefinition.fullName, load: loadCoordinatorConfig },
  fm: { fullName: FmServiceDefinition.fullName, load: loadFmConfig },
  inference: { fullName: InferenceServiceDefinition.fullName, load: loadInferenceConfig },
  sae: { fullName: SaeServiceDefinition.fullName, load: loadSaeConfig },
  search: { fullName: SearchServiceDefinition.fullName, load: loadSearchConfig },
};

/** Names that Node, its libraries or the model store read, in any service. */
const RUNTIME_NAMES = /^(HOME|TMPDIR|XDG_CACHE_HOME|XDG_STATE_HOME|NODE_OPTIONS|NODE_EXTRA_CA_CERTS)$/;

export const isRuntimeName = (name: string): boolean => RUNTIME_NAMES.test(name);

export interface SettingsRead {
  /** Undefined if the service would not start. */
  readonly settings?: LoadedSettings;
  readonly fault?: string;
  readonly names: ReadonlySet<string>;
}

export const readSettings = (service: string, environment: Environment): SettingsRead => {
  const names = new Set<string>();
  const recorder = new Proxy(environment, {
    get: (target, name) => {
      if (typeof name === 'string') names.add(name);
      return Reflect.get(target, name) as string | undefined;
    },
    // A copy of the whole environment is not knowledge of any name in it.
    ownKeys: () => [],
  });
  try {
    const settings = SERVICES[service]!.load(recorder);
    assertEdgeSettings(settings.edge);
    return { settings, names };
  } catch (thrown) {
    return { fault: thrown instanceof Error ? thrown.message : String(thrown), names };
  }
};

/** Where it listens if no address is given. */
export const readDefaultListen = (service: string, environment: Environment): string | undefined => {
  const without = Object.entries(environment).filter(([name]) => !name.endsWith('_LISTEN'));
  return readSettings(service, Object.fromEntries(without)).settings?.listen;
};

export const portOf = (address: string): number => Number(address.slice(address.lastIndexOf(':') + 1));
export const hostOf = (address: string): string => address.slice(0, address.lastIndexOf(':'));

const MAIN = /^dist\/services\/([a-z]+)\/main\.js$/;

/** The service that a container runs, from its arguments. */
export const serviceOfArgs = (args: readonly string[] | undefined): string | undefined => {
  const name = MAIN.exec(args?.[0] ?? '')?.[1];
  return name !== undefined && name in SERVICES ? name : undefined;
};
