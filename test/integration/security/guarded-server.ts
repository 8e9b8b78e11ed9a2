/** A server and clients with an edge from settings, as a process would open it, around small handlers. */
import { Metadata } from 'nice-grpc';
import {
  InferenceServiceDefinition,
  type InferenceServiceImplementation,
} from '../../../proto/gen/refusalscope/v1/inference.js';
import { loadConfig } from '../../../shared/config/load-config.js';
import { createLogger } from '../../../shared/log/create-logger.js';
import { EDGE_SHAPE, type EdgeSettings } from '../../../shared/process/edge-settings.js';
import { openEdge } from '../../../shared/process/open-edge.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';

export type Closing = (() => unknown)[];

export const edgeSettings = (environment: Record<string, string>): EdgeSettings => loadConfig(EDGE_SHAPE, environment);

const SCORED = { openers: [{ ids: [1] }], firstTokenIds: [1], iTokenId: 1 };
export const evaluation = { prompts: [], score: SCORED, evaluations: [] };
/** A bank with one edit that changes nothing; enough to be one. */
export const bank = {
  bank: { $case: 'inline' as const, value: { layers: [{ layer: 3, names: ['3/1'], positions: { span: 1 } }] } },
};

/** Answers everything with little; `seen` gets the path of each call that got past the guards. */
const inferenceHandlers = (seen: string[]): InferenceServiceImplementation => ({
  describeModel: async () => {
    seen.push('describeModel');
    return {};
  },
  tokenize: async () => ({}),
  async *captureResiduals() {
    yield {};
  },
  async *evaluateMasks() {
    seen.push('evaluateMasks');
    yield { bankDigest: 'd1' };
  },
  async *generate() {
    yield { promptIndex: 0, tokenId: 77, text: 'wondrous', finishReason: 1 };
  },
  measureCrossEntropy: async () => ({}),
});

export const startGuarded = async (environment: Record<string, string>, closing: Closing, address = '127.0.0.1:0') => {
  const lines: string[] = [];
  const logger = createLogger('inference', 'trace', { write: (line) => void lines.push(line) });
  const edge = await openEdge('inference', edgeSettings(environment), logger);
  closing.push(() => edge.close());
  const seen: string[] = [];
  const service = bindService(InferenceServiceDefinition, inferenceHandlers(seen));
  const server = await startServer({ address, services: [service], logger, edge });
  closing.push(() => server.stop(100));
  return { server, edge, lines, seen };
};

/** A client of a process with these settings. */
export const dialAs = async (
  address: string,
  environment: Record<string, string>,
  closing: Closing,
  service = 'cli',
): Promise<Connection<typeof InferenceServiceDefinition>> => {
  const edge = await openEdge(service, edgeSettings(environment), createLogger(service, 'silent'));
  closing.push(() => edge.close());
  const connection = connect(InferenceServiceDefinition, address, {
    edge,
    retry: { maxAttempts: 1 },
    deadlineMs: 5_000,
  });
  closing.push(() => connection.close());
  return connection;
};

export const bearer = (token: string) => ({ metadata: Metadata({ authorization: `Bearer ${token}` }) });

export const drain = async <Item>(items: AsyncIterable<Item>): Promise<Item[]> => {
  const all: Item[] = [];
  for await (const item of items) all.push(item);
  return all;
};
