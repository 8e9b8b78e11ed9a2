/**
 * Stands in for cert-manager and for whoever makes the Secret caller-keys: certificates by deploy/dev-certs.sh, a key set, a token. Fills
 * the folders that the manifests mount as Secrets, and gives a caller what it needs.
 */
import { execFile } from 'node:child_process';
import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { projectRoot } from '../../../shared/project/root.js';
import { SERVICES } from '../../unit/deploy/known-settings.js';
import { type Manifest, podOf, serversOf } from '../../unit/deploy/manifest.js';
import { createTokenKit, type TokenKit } from '../security/token-kit.js';

const run = promisify(execFile);
const CALLER = 'cli';
const NATS = 'nats';
const ISSUER = 'refusalscope';
/** What an audit needs. */
const SCOPES = 'read audit intervene';
const TOKEN_LIFE_S = 3600;

export class LocalSecrets {
  private constructor(
    private readonly certificates: string,
    private readonly tokens: TokenKit,
    /** False for manifests that mount no Secret: there callers need nothing. */
    readonly areUsed: boolean,
  ) {}

  static async make(manifests: readonly Manifest[], folder: string): Promise<LocalSecrets> {
    const areUsed = serversOf(manifests).some((workload) => secretNamesOf(podOf(workload).volumes).length > 0);
    const tokens = await createTokenKit();
    if (areUsed)
      await run('bash', [join(projectRoot, 'deploy/dev-certs.sh'), folder, ...Object.keys(SERVICES), CALLER, NATS]);
    return new LocalSecrets(folder, tokens, areUsed);
  }

  /** @param secret such as "sae-tls" or "caller-keys" */
  async fill(secret: string, folder: string): Promise<void> {
    const service = /^(.*)-tls$/.exec(secret)?.[1];
    if (service !== undefined) await cp(join(this.certificates, service), folder, { recursive: true });
    else if (secret === 'caller-keys') await cp(this.tokens.jwksPath, join(folder, 'jwks.json'));
    else throw new Error(`nobody here makes the Secret ${secret}`);
  }

  /** The settings of a caller outside the mesh: to trust the mesh, and to be trusted. */
  async callerEnvironment(): Promise<Record<string, string>> {
    if (!this.areUsed) return {};
    const folder = join(this.certificates, CALLER);
    const exp = Math.floor(Date.now() / 1000) + TOKEN_LIFE_S;
    return {
      REFUSALSCOPE_TLS_CERT: join(folder, 'tls.crt'),
      REFUSALSCOPE_TLS_KEY: join(folder, 'tls.key'),
      REFUSALSCOPE_TLS_CA: join(folder, 'ca.crt'),
      REFUSALSCOPE_TOKEN: await this.tokens.sign({ iss: ISSUER, scope: SCOPES, exp }),
    };
  }

  /**
   * Lines for nats-server that ask for certificates and give each service its rights, as the chart's values do; none where the manifests
   * speak to it in plain text.
   */
  async natsConfiguration(): Promise<string> {
    if (!this.areUsed) return '';
    const file = (name: string): string => join(this.certificates, NATS, name);
    const files = `cert_file: "${file('tls.crt')}", key_file: "${file('tls.key')}", ca_file: "${file('ca.crt')}"`;
    const values = parse(await readFile(join(projectRoot, 'k8s/nats-accounts.yaml'), 'utf8'));
    return `tls { ${files}, verify_and_map: true }\naccounts: ${JSON.stringify(values.config.merge.accounts)}`;
  }

  remove(): void {
    this.tokens.remove();
  }
}

/** Volumes that come from Secrets, as [volume, secret]. */
export const secretNamesOf = (volumes: readonly Record<string, unknown>[] = []): [string, string][] =>
  volumes.flatMap(({ name, secret }) =>
    secret === undefined ? [] : [[String(name), (secret as { secretName: string }).secretName] as [string, string]],
  );
