/** A coordinator to talk to: the one at --connect, or a mesh started in this process. */
import { CoordinatorServiceDefinition } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { connect, type ServiceClient } from '../../shared/rpc/connect.js';
import { startMesh } from '../mesh/start-mesh.js';
import type { CommandContext } from './command-context.js';
import { type MeshFlags, meshConfigOf } from './mesh-options.js';

export interface OpenCoordinator {
  readonly client: ServiceClient<typeof CoordinatorServiceDefinition>;
  /** Whether the audits end with this process. */
  readonly embedded: boolean;
  /** Stops an embedded mesh at a checkpoint; closes the connection to another one. */
  close(): Promise<void>;
}

// Long enough for a pod that is just starting.
const READY_LIMIT_MS = 20_000;

export const connectCoordinator = async (address: string, { edges }: CommandContext): Promise<OpenCoordinator> => {
  const connection = connect(CoordinatorServiceDefinition, address, { edge: edges.caller });
  try {
    await connection.waitUntilReady(READY_LIMIT_MS);
  } catch (thrown) {
    connection.close();
    throw thrown;
  }
  return { client: connection.client, embedded: false, close: async () => connection.close() };
};

export const startEmbeddedCoordinator = async (
  flags: MeshFlags,
  { commandLine, output, edges }: CommandContext,
): Promise<OpenCoordinator> => {
  const config = await meshConfigOf(flags, output);
  output.note(`Starting five services for ${config.modelName} on loopback.`);
  const mesh = await startMesh({ ...config, commandLine, edges });
  output.status('');
  const connection = connect(CoordinatorServiceDefinition, mesh.coordinatorAddress, {
    edge: await edges.inside('cli'),
  });
  const close = async () => {
    connection.close();
    await mesh.stop();
  };
  return { client: connection.client, embedded: true, close };
};
