/** A client of the SAE service that shares no code with it: proto-loader on the proto files, and grpc-js. */
import { join } from 'node:path';
import { type Client, credentials, loadPackageDefinition, type ServiceError } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { projectRoot } from '../../../shared/project/root.js';

const PROTO = join(projectRoot, 'proto');

export interface Reply {
  saes: {
    layer: number;
    dIn: number;
    dSae: number;
    architecture: string;
    format: string;
    sha256: string;
    editsExact: boolean;
    editsNote: string;
    admission: { verdict: string; reason: string; l0: number; fvu: number; rows: string; publishedL0: number };
  }[];
  rows: { indices: number[]; values: number[] }[];
  features: { feature: { layer: number; index: number }; cosine: number }[];
  bank: {
    layers: {
      layer: number;
      read: Wire;
      bias: Wire;
      threshold: Wire;
      write: Wire;
      target: Wire;
      names: string[];
      positions: unknown;
    }[];
  };
  admission: { verdict: string; reason: string; l0: number; fvu: number; rows: string };
}
export interface Wire {
  rows: number;
  cols: number;
  data: Buffer;
}
export type Call = (request: object) => Promise<Reply>;

export type SaeClient = Client & Record<string, (...args: never[]) => unknown>;

/** Its own limits are off, so that those of the server show. */
const UNLIMITED = { 'grpc.max_receive_message_length': -1, 'grpc.max_send_message_length': -1 };

export const createSaeClient = (address: string): SaeClient => {
  const options = { includeDirs: [PROTO], enums: String, longs: String, defaults: true };
  let found: unknown = loadPackageDefinition(loadSync('refusalscope/v1/sae.proto', options));
  for (const part of ['refusalscope', 'v1', 'SaeService']) found = (found as Record<string, unknown>)[part];
  return new (found as new (...args: unknown[]) => SaeClient)(address, credentials.createInsecure(), UNLIMITED);
};

export const callOf =
  (client: SaeClient, method: string): Call =>
  (request) =>
    new Promise((resolve, reject) => {
      const done = (error: ServiceError | null, reply: Reply) => (error ? reject(error) : resolve(reply));
      (client[method] as (...args: unknown[]) => unknown).call(client, request, done);
    });

export const wire = (data: Float32Array, cols: number): Wire => ({
  rows: data.length / cols,
  cols,
  data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
});
export const values = ({ data }: Wire): Float32Array => new Float32Array(new Uint8Array(data).buffer);
