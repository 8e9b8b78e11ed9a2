/** The headers of a work item on NATS. The id is not the message id: a new try after a failure has another one of those. */
import { headers, type MsgHdrs } from '@nats-io/transport-node';

export const WORK_ID_HEADER = 'Refusal-Work-Id';

/** @param own such as `traceparent` */
export const workHeaders = (id: string, own: Readonly<Record<string, string>> | undefined): MsgHdrs => {
  const header = headers();
  for (const [name, value] of Object.entries(own ?? {})) header.set(name, value);
  header.set(WORK_ID_HEADER, id);
  return header;
};
