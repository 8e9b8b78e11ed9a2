/** The lag of a work queue as KEDA's nats-jetstream scaler reads it: from the monitoring port, what waits plus what is being worked on. */

interface JetStreamInfo {
  readonly account_details?: readonly {
    readonly name: string;
    readonly stream_detail?: readonly {
      readonly name: string;
      readonly consumer_detail?: readonly {
        readonly name: string;
        readonly num_pending: number;
        readonly num_ack_pending: number;
      }[];
    }[];
  }[];
}

/** @param trigger the metadata of a ScaledObject's trigger. Throws when there is no such consumer. */
export const readQueueLag = async (monitor: string, trigger: Readonly<Record<string, string>>): Promise<number> => {
  const { account = '', stream, consumer } = trigger;
  const answer = await fetch(`http://${monitor}/jsz?acc=${encodeURIComponent(account)}&consumers=true&config=true`);
  const { account_details = [] } = (await answer.json()) as JetStreamInfo;
  const streams = account_details.find(({ name }) => name === account)?.stream_detail ?? [];
  const consumers = streams.find(({ name }) => name === stream)?.consumer_detail ?? [];
  const found = consumers.find(({ name }) => name === consumer);
  if (found === undefined) {
    throw new Error(`no consumer ${consumer} of ${stream}; streams: ${streams.map(({ name }) => name).join(', ')}`);
  }
  return found.num_pending + found.num_ack_pending;
};
