/** A collector on loopback that keeps what OTLP/HTTP sends as JSON, for tests. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenSpan {
  readonly service: string;
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  /** Of the process, such as its id. */
  readonly instance: string;
  /** 2 is SERVER, 3 is CLIENT, 4 is PRODUCER, 5 is CONSUMER. */
  readonly kind: number;
  /** Wall clock. */
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly spanId: string }[];
}

export interface Collector {
  readonly endpoint: string;
  /** Every body as it was sent. */
  readonly bodies: string[];
  spans(): SeenSpan[];
  metricNames(): Set<string>;
  stop(): Promise<void>;
}

interface KeyValue {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}
interface WireSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly KeyValue[];
  readonly links?: readonly { readonly spanId: string }[];
}
interface TraceBody {
  readonly resourceSpans?: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[];
  }[];
}
interface MetricBody {
  readonly resourceMetrics?: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

export const startCollector = async (): Promise<Collector> => {
  const bodies: string[] = [];
  const server: Server = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    bodies.push(Buffer.concat(parts).toString('utf8'));
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const parsed = () => bodies.map((body) => JSON.parse(body) as TraceBody & MetricBody);
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bodies,
    spans: () => parsed().flatMap(spansOf),
    metricNames: () =>
      new Set(
        parsed()
          .flatMap(({ resourceMetrics = [] }) => resourceMetrics)
          .flatMap(({ scopeMetrics }) => scopeMetrics)
          .flatMap(({ metrics }) => metrics.map(({ name }) => name)),
      ),
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
};

const plain = (attributes: readonly KeyValue[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));

const spansOf = ({ resourceSpans = [] }: TraceBody): SeenSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) => {
    const of = plain(resource.attributes);
    const process = { service: String(of['service.name']), instance: String(of['service.instance.id']) };
    return scopeSpans
      .flatMap(({ spans }) => spans)
      .map(({ startTimeUnixNano, endTimeUnixNano, attributes, parentSpanId = '', links = [], ...span }) => {
        const times = { startMs: msOf(startTimeUnixNano), endMs: msOf(endTimeUnixNano) };
        return { ...process, ...span, ...times, parentSpanId, links, attributes: plain(attributes) };
      });
  });

const msOf = (nanoseconds: string): number => Number(nanoseconds) / 1e6;
