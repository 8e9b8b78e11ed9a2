/** Asks a service for its health as the kubelet does: plain gRPC, one question, three seconds. */
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';

const LIMIT_MS = 3_000;
// ServingStatus of grpc.health.v1.
const SERVING = 1;

export const askHealth = async (address: string, service: string): Promise<boolean> => {
  const channel = createChannel(address);
  try {
    const client = createClient(HealthDefinition, channel);
    const { status } = await client.check({ service }, { signal: AbortSignal.timeout(LIMIT_MS) });
    return status === SERVING;
  } catch {
    return false;
  } finally {
    channel.close();
  }
};
