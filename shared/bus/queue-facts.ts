/** What spans say of a work queue, by OpenTelemetry's messaging conventions: the same words at both ends. */
import type { Facts } from '../telemetry/telemetry.js';

export const queueFacts = (queue: string, operation: 'request' | 'process'): Facts => ({
  'messaging.system': 'nats',
  'messaging.destination.name': queue,
  'messaging.operation.name': operation,
  'messaging.operation.type': operation === 'request' ? 'send' : 'process',
});
