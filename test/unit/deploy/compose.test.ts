/** The compose file says to each service what its code knows, and holds the same line as the cluster. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createContext } from '../../../services/cli/command-context.js';
import { createOutput } from '../../../services/cli/console-output.js';
import { createProgram } from '../../../services/cli/program.js';
import { projectRoot } from '../../../shared/project/root.js';
import { assertConsoleMayListen, assertMayListen } from '../../../shared/rpc/listen-policy.js';
import { parseDockerfile } from './dockerfile.js';
import { isRuntimeName, portOf, readSettings, SERVICES, serviceOfArgs } from './known-settings.js';
import { BUS_SETTING, fetchedTo } from './policy/settings.js';

interface ComposeService {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string };
  readonly user: string;
  readonly read_only: boolean;
  readonly cap_drop: readonly string[];
  readonly security_opt: readonly string[];
  readonly command?: readonly string[];
  readonly hostname?: string;
  readonly network_mode?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly mem_limit?: string;
  readonly cpus?: number;
}

const file = parse(readFileSync(join(projectRoot, 'deploy/compose.yaml'), 'utf8'), { merge: true }) as {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
};
const services = Object.entries(file.services);
const meshed = services.filter(([, { command }]) => serviceOfArgs(command) !== undefined);
const { stages } = parseDockerfile(readFileSync(join(projectRoot, 'deploy/Dockerfile'), 'utf8'));

/** Options of `refusalscope serve`, such as "--listen". */
const serveOptions = (): string[] => {
  const context = createContext(createOutput(process.stdout, process.stderr), 'serve', () => undefined);
  const serve = createProgram(context).commands.find((command) => command.name() === 'serve');
  return (serve?.options ?? []).map((option) => option.long ?? '');
};

describe('the compose file', () => {
  test('runs the five services, each once', () => {
    const running = meshed.map(([, { command }]) => serviceOfArgs(command));
    expect(running.sort()).toEqual(Object.keys(SERVICES).sort());
  });

  test.each(meshed)('%s would start, and is told nothing that it does not know', (name, service) => {
    const environment = service.environment ?? {};
    const { settings, fault, names } = readSettings(serviceOfArgs(service.command)!, environment);
    expect(fault).toBeUndefined();
    expect(Object.keys(environment).filter((key) => !names.has(key) && !isRuntimeName(key))).toEqual([]);
    expect(settings!.listen).toMatch(/^0\.0\.0\.0:/);
    expect(service.healthcheck!.test.slice(1)).toEqual([
      '/usr/local/bin/node',
      'deploy/check-health.mjs',
      String(portOf(settings!.listen)),
    ]);
    expect(
      Object.values(environment).every((value) => typeof value === 'string'),
      name,
    ).toBe(true);
    expect(environment[BUS_SETTING]).toBe(names.has(BUS_SETTING) ? 'nats://nats:4222' : undefined);
  });

  test('every address leads to the port of the service it names', () => {
    const listens = new Map(
      meshed.map(([name, { command, environment }]) => [
        name,
        portOf(readSettings(serviceOfArgs(command)!, environment ?? {}).settings!.listen),
      ]),
    );
    const addresses = meshed.flatMap(([, { environment }]) =>
      Object.entries(environment ?? {}).filter(([setting]) => setting.endsWith('_ADDRESS')),
    );
    expect(addresses.length).toBe(6);
    for (const [setting, value] of addresses) {
      expect(listens.get(value.split(':')[0]!), setting).toBe(portOf(value));
    }
  });

  test('the model is read from where it is fetched to', () => {
    expect(file.services.inference!.environment!.REFUSALSCOPE_MODEL_PATH).toBe(fetchedTo('/models'));
    expect(file.services['fetch-model']!.environment!.XDG_CACHE_HOME).toBe('/models');
    expect(file.services['all-in-one']!.environment!.XDG_CACHE_HOME).toBe('/models');
  });

  test.each(services)('%s can write nothing but its volumes, holds no right, and has limits', (name, service) => {
    expect(service.read_only).toBe(true);
    expect(service.cap_drop).toEqual(['ALL']);
    expect(service.security_opt).toEqual(['no-new-privileges:true']);
    expect(service.user, 'only NATS keeps its own user, without capabilities').toBe(
      name === 'nats' ? '0:0' : '65532:65532',
    );
    expect(service.mem_limit).toMatch(/^\d+[mg]$/);
    expect(service.cpus).toBeGreaterThan(0);
    expect(service.image).not.toMatch(/:latest$|^[^:]+$/);
  });

  test('ports are published on loopback alone, and only those of the coordinator', () => {
    const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => `${name} ${port}`));
    expect(published).toEqual(['coordinator 127.0.0.1:7000:7000', 'coordinator 127.0.0.1:7080:7080']);
  });

  test('whoever listens beyond loopback says that the network keeps others out', () => {
    for (const [, { command, environment }] of meshed) {
      const { listen, consoleListen, edge } = readSettings(serviceOfArgs(command)!, environment ?? {}).settings!;
      const policy = { authenticates: false, allowsInsecure: edge.REFUSALSCOPE_INSECURE };
      expect(() => assertMayListen(listen, policy)).not.toThrow();
      expect(() => assertConsoleMayListen(consoleListen ?? '127.0.0.1:0', policy)).not.toThrow();
    }
  });

  test('all in one is on the network of its host, and listens on loopback there', () => {
    const { network_mode, command } = file.services['all-in-one']!;
    expect(network_mode).toBe('host');
    const addresses = command!.filter((part) => /^--(listen|console)=/.test(part));
    expect(addresses).toEqual(['--listen=127.0.0.1:7000', '--console=127.0.0.1:7080']);
    const known = serveOptions();
    const options = command!.filter((part) => part.startsWith('--')).map((part) => part.split('=')[0]!);
    expect(options.filter((option) => !known.includes(option))).toEqual([]);
  });

  test('the console of the coordinator listens on the name of its container, so that it answers to that and localhost alone', () => {
    const { hostname, environment } = file.services.coordinator!;
    expect(environment!.REFUSALSCOPE_CONSOLE_LISTEN).toBe(`${hostname}:7080`);
  });

  test('builds targets that the Dockerfile has, waits for services that there are, and mounts volumes that it declares', () => {
    for (const [name, { build, depends_on = {}, volumes = [] }] of services) {
      if (build !== undefined) {
        expect(stages.map((stage) => stage.name)).toContain(build.target);
        expect(existsSync(join(projectRoot, 'deploy', build.context, build.dockerfile))).toBe(true);
      }
      for (const [other, { condition }] of Object.entries(depends_on)) {
        const target = file.services[other]!;
        expect(target, `${name} waits for ${other}`).toBeDefined();
        if (condition === 'service_healthy') expect(target.healthcheck).toBeDefined();
      }
      for (const source of volumes.map((volume) => volume.split(':')[0]!)) {
        const exists = source.startsWith('.')
          ? existsSync(join(projectRoot, 'deploy', source))
          : source in file.volumes;
        expect(exists, source).toBe(true);
      }
    }
  });
});
