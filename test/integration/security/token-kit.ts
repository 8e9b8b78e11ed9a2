/** A key pair, a key set file and tokens for tests. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'refusalscope';

export interface TokenKit {
  readonly jwksPath: string;
  /** A token with these claims over sound defaults; undefined takes a claim away. */
  sign(claims?: Record<string, unknown>, keyId?: string): Promise<string>;
  /** Replaces the keys in the file; tokens are signed with the new one from now on. */
  rotate(keyId: string): Promise<void>;
  remove(): void;
}

export const createTokenKit = async (): Promise<TokenKit> => {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-tokens-'));
  const jwksPath = join(folder, 'jwks.json');
  let signing = { keyId: 'k1', ...(await generateKeyPair('ES256')) };
  const publish = async () => {
    const key = { ...(await exportJWK(signing.publicKey)), kid: signing.keyId, alg: 'ES256', use: 'sig' };
    writeFileSync(jwksPath, JSON.stringify({ keys: [key] }));
  };
  await publish();
  return {
    jwksPath,
    sign: (claims = {}, keyId = signing.keyId) => {
      const now = Math.floor(Date.now() / 1000);
      const all = { iss: ISSUER, aud: AUDIENCE, sub: 'ada', iat: now, exp: now + 300, scope: 'read', ...claims };
      return new SignJWT(all).setProtectedHeader({ alg: 'ES256', kid: keyId }).sign(signing.privateKey);
    },
    rotate: async (keyId) => {
      signing = { keyId, ...(await generateKeyPair('ES256')) };
      await publish();
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
};
