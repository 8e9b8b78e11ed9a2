/** Tokens and key sets: what a caller sends in a header, and what an identity provider serves. */
import { writeFileSync } from 'node:fs';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { createTokenVerifier } from '../../../shared/security/token-verifier.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateText } from '../mutate/mutate-text.js';

const SETTINGS = { issuer: 'https://issuer.example', audience: 'refusalscope', clockToleranceS: 30 };
const NEVER_AGAIN = { maxAgeMs: 1e12, cooldownMs: 1e12 };
const EVERY_TIME = { maxAgeMs: 0, cooldownMs: 0 };

const makeKey = async () => {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const claims = { iss: SETTINGS.issuer, aud: SETTINGS.audience, sub: 'ada', exp: 4_000_000_000, scope: 'read audit' };
  const token = await new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'k1' }).sign(privateKey);
  return { jwk: jwk as unknown as Json, token, claims };
};

const encoded = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

export const jwt: FuzzTarget = {
  name: 'jwt',
  reads: 'bearer tokens: header, claims, signature',
  weight: 8,
  shortCases: 100,
  open: async (scratch) => {
    const { jwk, token, claims } = await makeKey();
    const path = `${scratch}/jwks.json`;
    writeFileSync(path, JSON.stringify({ keys: [jwk] }));
    const verifier = createTokenVerifier({ jwks: path, ...SETTINGS }, NEVER_AGAIN);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const head: Json = { alg: 'ES256', kid: 'k1' };
    return {
      make: (random) => {
        const kind = random.below(4);
        if (kind === 0) return { token: Buffer.from(mutateText(random, token, ['.', '..', '=', 'e30'], 3)) };
        const made = [
          kind === 1 ? encoded(mutateJsonText(random, head)) : header,
          kind === 2 ? encoded(mutateJsonText(random, claims)) : payload,
          kind === 3 ? encoded(mutateBytes(random, [Buffer.from(signature, 'base64url')], 2)) : signature,
        ];
        return { token: Buffer.from(made.join('.')) };
      },
      decode: async ({ token: bytes }) => {
        const given = Buffer.from(bytes!).toString('utf8');
        const { subject } = await verifier.verify(given);
        // Nothing but the signed token may pass; base64url has spare bits in its last characters, so texts may differ.
        if (
          subject !== 'ada' ||
          Buffer.from(given.split('.')[1]!, 'base64url').toString() !== Buffer.from(payload, 'base64url').toString()
        )
          throw new Error('a token passed that was not signed');
        return true;
      },
    };
  },
};

export const jwks: FuzzTarget = {
  name: 'jwks',
  reads: 'key sets (JWKS), and a token checked against them',
  weight: 2,
  shortCases: 40,
  open: async (scratch) => {
    const { jwk, token } = await makeKey();
    const path = `${scratch}/jwks.json`;
    const seeds: Json[] = [
      { keys: [jwk] },
      {
        keys: [
          {
            kty: 'RSA',
            n: 'sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHyXss8UDprecbAYxknTcQkhslANGRUZmdTOQ5qTRsLAt6BTYuyvVRdhS8exSZEy',
            e: 'AQAB',
            kid: 'k1',
          },
          jwk,
        ],
      },
    ];
    return {
      make: (random) => ({
        'jwks.json': chance(random, 0.9)
          ? mutateJsonText(random, one(random, seeds))
          : mutateBytes(random, [Buffer.from(JSON.stringify(seeds[0]))]),
      }),
      decode: async (input) => {
        writeFileSync(path, input['jwks.json']!);
        return (await createTokenVerifier({ jwks: path, ...SETTINGS }, EVERY_TIME).verify(token)).subject === 'ada';
      },
    };
  },
};
