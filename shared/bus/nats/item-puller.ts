/**
 * Asks a JetStream consumer for one item for each free slot, over one lasting subscription a slot. Prevents: prefetch that keeps items from idle pods, and
 * a slot that waits for ever on a request which the server forgot.
 */
import { createInbox, type Msg, nanos, type Subscription } from '@nats-io/transport-node';
import { createWakeUp, type WakeUp } from '../wake-up.js';
import { type DeliveredItem, readDelivery } from './delivered-item.js';
import type { NatsLink } from './nats-link.js';

const REQUEST_MS = 20_000;
// The server's sign of life while a request waits; two that are missing end the request here.
const BEAT_MS = 5_000;
const BEAT = 100;

interface Slot {
  readonly inbox: string;
  /** An item that came, until the slot takes it. */
  item?: DeliveredItem;
  isAsking: boolean;
  /** What ended the request without an item: a status of the server. */
  ended?: string;
  heardAt: number;
  readonly wakeUp: WakeUp;
}

export class ItemPuller {
  private readonly slots: Slot[];
  private readonly subscriptions: Subscription[];
  private readonly endReconnect: () => void;
  private readonly subject: string;
  private readonly request = JSON.stringify({ batch: 1, expires: nanos(REQUEST_MS), idle_heartbeat: nanos(BEAT_MS) });

  constructor(
    private readonly link: NatsLink,
    stream: string,
    consumer: string,
    slots: number,
  ) {
    this.subject = `${link.js.apiPrefix}.CONSUMER.MSG.NEXT.${stream}.${consumer}`;
    const newSlot = (): Slot => ({
      inbox: createInbox(link.inboxPrefix),
      isAsking: false,
      heardAt: 0,
      wakeUp: createWakeUp(),
    });
    this.slots = Array.from({ length: slots }, newSlot);
    // An item comes under its own subject, so only the subscription tells whose it is.
    this.subscriptions = this.slots.map((slot) =>
      link.connection.subscribe(slot.inbox, {
        callback: (error, message) => {
          if (error === null) hear(slot, message);
        },
      }),
    );
    this.endReconnect = link.onReconnect(() => {
      for (const slot of this.slots) end(slot, 'the connection was made anew');
    });
  }

  /** Sends the request at once, so that it leaves with the ack that was written just before. */
  ask(index: number): void {
    const slot = this.slots[index];
    if (slot === undefined || slot.isAsking || slot.item !== undefined) return;
    slot.isAsking = true;
    slot.ended = undefined;
    slot.heardAt = performance.now();
    this.link.connection.publish(this.subject, this.request, { reply: slot.inbox });
  }

  /** The item that was asked for, or why none came. */
  async next(index: number, signal: AbortSignal): Promise<DeliveredItem | string> {
    const slot = this.slots[index]!;
    for (;;) {
      if (slot.item !== undefined) {
        const { item } = slot;
        slot.item = undefined;
        return item;
      }
      if (signal.aborted) return 'stopped';
      if (slot.ended !== undefined) return slot.ended;
      if (performance.now() - slot.heardAt > 2 * BEAT_MS) end(slot, 'the server gives no sign of life');
      else await slot.wakeUp.wait(BEAT_MS, signal);
    }
  }

  /** What comes now goes back to the queue at once. */
  close(): void {
    for (const slot of this.slots) slot.item?.nak(0);
    for (const subscription of this.subscriptions) subscription.unsubscribe();
    this.endReconnect();
  }
}

const hear = (slot: Slot, message: Msg): void => {
  slot.heardAt = performance.now();
  const delivered = readDelivery(message);
  if (delivered === undefined) {
    const status = message.headers?.code ?? 0;
    if (status !== BEAT) end(slot, `${status} ${message.headers?.description ?? ''}`);
  } else if (slot.item !== undefined) {
    // The answer to a request that was given up, after another one was sent.
    delivered.nak(0);
  } else {
    slot.isAsking = false;
    slot.item = delivered;
    slot.wakeUp.ring();
  }
};

const end = (slot: Slot, reason: string): void => {
  if (!slot.isAsking) return;
  slot.isAsking = false;
  slot.ended = reason;
  slot.wakeUp.ring();
};
