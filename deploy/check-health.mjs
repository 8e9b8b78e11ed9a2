/**
 * Asks a service for its health by gRPC, for those who cannot ask themselves (compose): `check-health.mjs PORT [HOST]`. Exit code 0 if it
 * serves, 1 if not. Kubernetes asks natively and needs none of this.
 */
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';

const LIMIT_MS = 5_000;
// ServingStatus of grpc.health.v1.
const SERVING = 1;

const [port, host = '127.0.0.1'] = process.argv.slice(2);
if (!/^\d+$/.test(port ?? '')) {
  process.stderr.write('usage: check-health.mjs PORT [HOST]\n');
  process.exit(2);
}
const channel = createChannel(`${host}:${port}`);
const client = createClient(HealthDefinition, channel);
const ask = client.check({ service: '' }, { signal: AbortSignal.timeout(LIMIT_MS) });
const status = await ask.then(
  (answer) => answer.status,
  () => undefined,
);
channel.close();
process.exitCode = status === SERVING ? 0 : 1;
