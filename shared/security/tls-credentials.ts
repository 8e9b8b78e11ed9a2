/**
 * gRPC's view of the TLS files, for servers and clients: each new connection uses the newest set, running ones go on. Also tells handlers
 * whose certificate a call came with, under a metadata name that no caller can guess.
 */
import { randomBytes } from 'node:crypto';
import type { SecureContextOptions } from 'node:tls';
import {
  type ChannelCredentials,
  experimental,
  type Metadata,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import type { TlsFiles, TlsMaterial } from './tls-files.js';

/** none: only the server shows a certificate. request: callers may show one (or bring a token). require: nobody connects without. */
export type ClientCertificates = 'none' | 'request' | 'require';

export interface ServerTls {
  readonly credentials: ServerCredentials;
  /** Metadata name of the caller's service name; set by the server alone, and absent without a certificate that the CA signed. */
  readonly peerKey: string;
}

export const createServerTls = (files: TlsFiles, clients: ClientCertificates): ServerTls => {
  const peerKey = `refusalscope-peer-${randomBytes(8).toString('hex')}`;
  return { credentials: new FileServerCredentials(files, clients, peerKey), peerKey };
};

class FileServerCredentials extends ServerCredentials {
  constructor(
    files: TlsFiles,
    clients: ClientCertificates,
    private readonly peerKey: string,
  ) {
    const asks = { requestCert: clients !== 'none', rejectUnauthorized: clients === 'require' };
    super({ ...asks, minVersion: 'TLSv1.2' }, contextOf(files.current));
    files.onChange((material) => this.updateSecureContextOptions(contextOf(material)));
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other;
  }

  override _getInterceptors(): ServerInterceptor[] {
    return [
      (_method, call) =>
        new ServerInterceptingCall(call, {
          start: (next) =>
            next({
              onReceiveMetadata: (metadata: Metadata, pass) => {
                const service = serviceOf(call.getAuthContext().sslPeerCertificate?.subjectaltname);
                metadata.remove(this.peerKey);
                if (service !== undefined) metadata.set(this.peerKey, service);
                pass(metadata);
              },
            }),
        }),
    ];
  }
}

const contextOf = ({ cert, key, ca }: TlsMaterial): SecureContextOptions => ({ cert, key, ca });

// "DNS:search, URI:spiffe://refusalscope/service/search"; Node quotes names that hold a comma, so that none can pretend to be two.
const SERVICE_NAME = /(?:^|, )URI:spiffe:\/\/refusalscope\/service\/([a-z][a-z0-9-]{0,62})(?:,|$)/;

const serviceOf = (subjectAltName: string | undefined): string | undefined =>
  SERVICE_NAME.exec(subjectAltName ?? '')?.[1];

/** Shows this process's certificate and takes only servers that the CA signed, for the name that was dialled. */
export const createChannelTls = (files: TlsFiles): ChannelCredentials => {
  const caListeners = new Set<(update: { caCertificate: Buffer }) => void>();
  const identityListeners = new Set<(update: { certificate: Buffer; privateKey: Buffer }) => void>();
  const caOf = ({ ca }: TlsMaterial) => ({ caCertificate: ca });
  const identityOf = ({ cert, key }: TlsMaterial) => ({ certificate: cert, privateKey: key });
  files.onChange((material) => {
    for (const listener of caListeners) listener(caOf(material));
    for (const listener of identityListeners) listener(identityOf(material));
  });
  const provider: experimental.CertificateProvider = {
    addCaCertificateListener: (listener) => {
      caListeners.add(listener);
      listener(caOf(files.current));
    },
    removeCaCertificateListener: (listener) => void caListeners.delete(listener),
    addIdentityCertificateListener: (listener) => {
      identityListeners.add(listener);
      listener(identityOf(files.current));
    },
    removeIdentityCertificateListener: (listener) => void identityListeners.delete(listener),
  };
  return experimental.createCertificateProviderChannelCredentials(provider, provider);
};
