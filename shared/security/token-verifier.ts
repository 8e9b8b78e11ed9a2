/**
 * The one door to the library for tokens: a bearer token in, a principal out, or UNAUTHENTICATED with a text that says what is wrong with
 * the token and never quotes it.
 */
import { errors, type JWTPayload, type JWTVerifyGetKey, type JWTVerifyOptions, jwtVerify } from 'jose';
import { type Fault, fault, isFault } from '../errors/fault.js';
import { createJwksSource, type JwksTimes } from './jwks-source.js';
import { isScope, type Principal, type Scope } from './principal.js';

export interface TokenSettings {
  /** Path or URL of a JSON Web Key Set. */
  readonly jwks: string;
  readonly issuer: string;
  readonly audience: string;
  /** Seconds that the clocks of issuer and verifier may differ. */
  readonly clockToleranceS: number;
}

export interface TokenVerifier {
  /** Throws UNAUTHENTICATED; CONFIG_INVALID if the keys cannot be read. */
  verify(token: string): Promise<Principal>;
  /** Reads the keys now, so that a wrong setting shows at the start. Throws CONFIG_INVALID. */
  assertKeys(): Promise<void>;
}

/** Public-key signatures alone: with a shared secret every service could make tokens. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
];
const MAX_TOKEN_LENGTH = 8192;
const MAX_SUBJECT_LENGTH = 256;

export const createTokenVerifier = (settings: TokenSettings, times?: JwksTimes): TokenVerifier => {
  const source = createJwksSource(settings.jwks, times);
  const options: JWTVerifyOptions = {
    issuer: settings.issuer,
    audience: settings.audience,
    clockTolerance: settings.clockToleranceS,
    algorithms: ALGORITHMS,
    requiredClaims: ['sub', 'exp'],
  };
  const checked = async (token: string): Promise<Principal> => {
    if (token.length > MAX_TOKEN_LENGTH) {
      throw refused(`The token has ${token.length} characters; at most ${MAX_TOKEN_LENGTH} are read.`);
    }
    return toPrincipal(await verify(token, options, source.keys));
  };
  const assertKeys = async (): Promise<void> => {
    await source.keys();
  };
  return { verify: checked, assertKeys };
};

const verify = async (
  token: string,
  options: JWTVerifyOptions,
  keysOf: (mustBeNewerThan?: JWTVerifyGetKey) => Promise<JWTVerifyGetKey>,
): Promise<JWTPayload> => {
  const keys = await keysOf();
  try {
    return (await jwtVerify(token, keys, options)).payload;
  } catch (thrown) {
    // The provider may have changed its keys since they were read.
    const newer = thrown instanceof errors.JWKSNoMatchingKey ? await keysOf(keys) : keys;
    if (newer === keys) throw explain(thrown, options);
    return (await jwtVerify(token, newer, options).catch((again: unknown) => Promise.reject(explain(again, options))))
      .payload;
  }
};

const explain = (thrown: unknown, { issuer, audience }: JWTVerifyOptions): unknown => {
  if (isFault(thrown)) return thrown;
  if (thrown instanceof errors.JWTExpired) return refused('The token has expired: get a new one.');
  if (thrown instanceof errors.JWTClaimValidationFailed) return refused(claimText(thrown.claim, issuer, audience));
  if (thrown instanceof errors.JWKSNoMatchingKey)
    return refused('The token is signed with a key that is not known here.');
  if (thrown instanceof errors.JWSSignatureVerificationFailed) return refused("The token's signature is not valid.");
  if (thrown instanceof errors.JOSEAlgNotAllowed)
    return refused('The token is signed in a way that is not allowed here.');
  if (thrown instanceof errors.JOSEError) return refused('The token is no signed JSON Web Token.');
  // A key that the platform's cryptography does not take: the set is damaged, and no token by that key can be checked.
  return fault('UNAUTHENTICATED', 'The key that the token names cannot be used: the key set is damaged.', {
    cause: thrown,
  });
};

const claimText = (
  claim: string,
  issuer: JWTVerifyOptions['issuer'],
  audience: JWTVerifyOptions['audience'],
): string => {
  switch (claim) {
    case 'iss':
      return `The token is from another issuer; this service takes those of ${issuer}.`;
    case 'aud':
      return `The token is for another audience; this service is ${audience}.`;
    case 'nbf':
      return 'The token is not valid yet: compare the clocks.';
    default:
      return `The token's claim "${claim}" is missing or not valid.`;
  }
};

const toPrincipal = (payload: JWTPayload): Principal => {
  const { sub } = payload;
  if (typeof sub !== 'string' || sub === '' || sub.length > MAX_SUBJECT_LENGTH) {
    throw refused(`The token's subject must be a text of 1 to ${MAX_SUBJECT_LENGTH} characters.`);
  }
  // A certificate says "service:"; a token may not pretend to be one in the audit log.
  if (sub.startsWith('service:') || sub === 'local') throw refused(`The token's subject "${sub}" is reserved.`);
  return { subject: sub, kind: 'token', scopes: new Set(scopesOf(payload)) };
};

/** `scope` as RFC 8693 writes it (words in one text), or a list under `scope` or `scp`. Words that are no scope of ours are passed over. */
const scopesOf = ({ scope, scp }: JWTPayload): Scope[] => {
  const given = scope ?? scp;
  const words = typeof given === 'string' ? given.split(' ') : Array.isArray(given) ? given.map(String) : [];
  return words.filter(isScope);
};

const refused = (text: string): Fault => fault('UNAUTHENTICATED', text);
