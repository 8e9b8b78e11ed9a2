/**
 * A message that JetStream handed out, with the answers it takes. Our own, because the client's pull makes a subscription for each message,
 * and an item costs as many writes to the socket as there are commands that do not leave together.
 */
import { type Msg, nanos } from '@nats-io/transport-node';
import type { WorkItem } from '../bus.js';
import { WORK_ID_HEADER } from './work-headers.js';

export interface DeliveredItem {
  readonly item: WorkItem;
  /** Sequence in the work stream. */
  readonly sequence: number;
  ack(): void;
  /** Brings the item back after this time. */
  nak(delayMs: number): void;
  /** Ends the item. */
  term(reason: string): void;
  /** Starts the ack wait anew. */
  working(): void;
}

/** Undefined for a message that did not come from a consumer. */
export const readDelivery = (message: Msg): DeliveredItem | undefined => {
  const place = readAckSubject(message.reply ?? '');
  if (place === undefined) return undefined;
  return {
    item: readItem(message, place.delivery),
    sequence: place.sequence,
    ack: () => {
      message.respond('+ACK');
    },
    nak: (delayMs) => {
      message.respond(`-NAK ${JSON.stringify({ delay: nanos(delayMs) })}`);
    },
    term: (reason) => {
      message.respond(`+TERM ${reason}`);
    },
    working: () => {
      message.respond('+WPI');
    },
  };
};

/** `$JS.ACK.[domain.account.]stream.consumer.deliveries.sequence.consumer-sequence.time.pending[.token]` */
const readAckSubject = (reply: string): { readonly delivery: number; readonly sequence: number } | undefined => {
  const tokens = reply.split('.');
  if (tokens[0] !== '$JS' || tokens[1] !== 'ACK' || tokens.length < 9) return undefined;
  const first = tokens.length === 9 ? 4 : 6;
  return { delivery: Number(tokens[first]), sequence: Number(tokens[first + 1]) };
};

const readItem = (message: Msg, delivery: number): WorkItem => {
  const headers: Record<string, string> = {};
  for (const name of message.headers?.keys() ?? []) {
    if (!name.startsWith('Nats-') && name !== WORK_ID_HEADER) headers[name] = message.headers?.get(name) ?? '';
  }
  return {
    id: message.headers?.get(WORK_ID_HEADER) ?? '',
    requester: message.subject.slice(message.subject.lastIndexOf('.') + 1),
    payload: message.data,
    headers,
    delivery,
  };
};
