/** Detached ed25519 signatures of a manifest. Prevents: a manifest that was built again, as a whole, over changed files. */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { fault } from '../../../shared/errors/fault.js';

/** Base64 of the signature. Throws CONFIG_INVALID for a key that is no ed25519 private key in PEM. */
export const signManifest = (text: string, privateKeyPem: string): string =>
  `${sign(null, Buffer.from(text), keyOf(privateKeyPem, createPrivateKey)).toString('base64')}\n`;

export const isSignedBy = (text: string, signature: string, publicKeyPem: string): boolean =>
  verify(null, Buffer.from(text), keyOf(publicKeyPem, createPublicKey), Buffer.from(signature.trim(), 'base64'));

const keyOf = (pem: string, create: (pem: string) => KeyObject): KeyObject => {
  let key: KeyObject | undefined;
  try {
    key = create(pem);
  } catch {
    // The cause could quote the key.
  }
  if (key?.asymmetricKeyType === 'ed25519') return key;
  throw fault('CONFIG_INVALID', 'The key is no ed25519 key in PEM. Make one: openssl genpkey -algorithm ed25519');
};
