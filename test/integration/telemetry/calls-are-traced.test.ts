import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { SaeServiceDefinition, type SaeServiceImplementation } from '../../../proto/gen/refusalscope/v1/sae.js';
import { fault } from '../../../shared/errors/fault.js';
import { createLogger, silentLogger } from '../../../shared/log/create-logger.js';
import { connect } from '../../../shared/rpc/connect.js';
import { localEdge } from '../../../shared/rpc/edge.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';
import { openTelemetry, type ProcessTelemetry, silentProcessTelemetry } from '../../../shared/telemetry/telemetry.js';
import { extractTraceFrom, injectTrace, linkOf, withTrace } from '../../../shared/telemetry/trace-carrier.js';
import { startCollector } from './otlp-collector.js';

const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

const unused = (): never => {
  throw new Error('this handler is not part of the test');
};
const handlers = (own: Partial<SaeServiceImplementation>): SaeServiceImplementation => ({
  listSaes: unused,
  encode: unused,
  findNearestFeatures: unused,
  getEditRows: unused,
  admitSae: unused,
  ...own,
});

const openBoth = async (): Promise<{
  collector: Awaited<ReturnType<typeof startCollector>>;
  telemetry: ProcessTelemetry;
}> => {
  const collector = await startCollector();
  open.push(collector.stop);
  const telemetry = await openTelemetry('test', { otlpEndpoint: collector.endpoint, metricsIntervalMs: 60_000 });
  return { collector, telemetry };
};

const serve = async (
  service: string,
  telemetry: ProcessTelemetry,
  own: Partial<SaeServiceImplementation>,
  logger = silentLogger,
) => {
  const edge = { ...localEdge, telemetry: telemetry.forService(service) };
  const bound = bindService(SaeServiceDefinition, handlers(own));
  const server = await startServer({ address: '127.0.0.1:0', services: [bound], logger, edge });
  open.push(() => server.stop(100));
  return server;
};
const dial = (address: string, service: string, telemetry: ProcessTelemetry) => {
  const edge = { ...localEdge, telemetry: telemetry.forService(service) };
  const connection = connect(SaeServiceDefinition, address, { edge, retry: { baseDelayMs: 1, maxDelayMs: 5 } });
  open.push(() => connection.close());
  return connection.client;
};

describe('traces over gRPC', () => {
  it('one trace runs from a caller through two servers, each span under the one that asked for it', async () => {
    const { collector, telemetry } = await openBoth();
    const back = await serve('sae', telemetry, { listSaes: async () => ({ saes: [] }) });
    const toBack = dial(back.address, 'search', telemetry);
    const front = await serve('search', telemetry, {
      listSaes: async () => {
        await sleep(5);
        return toBack.listSaes({});
      },
    });
    await telemetry.forService('cli').inSpan('command', { 'refusal.stage': 'x' }, async () => {
      await dial(front.address, 'cli', telemetry).listSaes({});
    });
    await telemetry.stop();

    const spans = collector.spans();
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    const chain: string[] = [];
    for (let at = spans.find(({ parentSpanId }) => parentSpanId === ''); at !== undefined; ) {
      chain.push(`${at.service}/${at.kind}`);
      const parent = at.spanId;
      at = spans.find(({ parentSpanId }) => parentSpanId === parent);
    }
    expect(chain).toEqual(['cli/1', 'cli/3', 'search/2', 'search/3', 'sae/2']);
    expect(spans.find(({ service }) => service === 'sae')?.attributes).toMatchObject({
      'rpc.system.name': 'grpc',
      'rpc.method': 'refusalscope.v1.SaeService/ListSaes',
      'rpc.status_code': 'OK',
    });
  });

  it('every try of a call is a span; a fault of the caller is an error for the client and none for the server', async () => {
    const { collector, telemetry } = await openBoth();
    let tries = 0;
    const server = await serve('sae', telemetry, {
      listSaes: async () => {
        tries += 1;
        throw tries < 3 ? fault('BUSY', 'full') : fault('SAE_UNKNOWN', 'none');
      },
    });
    await expect(dial(server.address, 'cli', telemetry).listSaes({})).rejects.toMatchObject({ code: 'SAE_UNKNOWN' });
    await telemetry.stop();
    const codes = (kind: number) =>
      collector
        .spans()
        .filter((span) => span.kind === kind)
        .map(({ attributes }) => [attributes['rpc.status_code'], attributes['error.type']]);
    expect(codes(3)).toEqual([
      ['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED'],
      ['RESOURCE_EXHAUSTED', 'RESOURCE_EXHAUSTED'],
      ['NOT_FOUND', 'NOT_FOUND'],
    ]);
    expect(codes(2)).toEqual([
      ['RESOURCE_EXHAUSTED', undefined],
      ['RESOURCE_EXHAUSTED', undefined],
      ['NOT_FOUND', undefined],
    ]);
    expect([...collector.metricNames()].sort()).toEqual([
      'refusal.build',
      'rpc.client.call.duration',
      'rpc.server.call.duration',
    ]);
  });

  it('a line that a handler logs carries the ids of its span', async () => {
    const { collector, telemetry } = await openBoth();
    const lines: string[] = [];
    const logger = createLogger('sae', 'debug', { write: (line) => void lines.push(line) });
    const own = { listSaes: async () => ({ saes: [] }) };
    const server = await serve('sae', telemetry, own, logger);
    await dial(server.address, 'cli', telemetry).listSaes({});
    await telemetry.stop();
    const span = collector.spans().find(({ service }) => service === 'sae');
    expect(JSON.parse(lines[0] ?? '{}')).toMatchObject({ trace_id: span?.traceId, span_id: span?.spanId });
  });

  it('headers carry a trace to a consumer, and a span links to others', async () => {
    const { collector, telemetry } = await openBoth();
    const headers = [new Map<string, string>(), new Map<string, string>()];
    const producer = telemetry.forService('producer');
    for (const carrier of headers) await producer.inSpan('send', {}, async () => injectTrace(carrier));
    const contexts = headers.map((carrier) => extractTraceFrom(Object.fromEntries(carrier)));
    expect(headers[0]?.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(linkOf(extractTraceFrom({ traceparent: 'garbage' }))).toBeUndefined();
    const consumer = telemetry.forService('consumer');
    await withTrace(contexts[0]!, () => consumer.inSpan('one', {}, async () => undefined));
    await consumer.inSpan('batch', {}, async ({ linkTo }) => {
      for (const context of [...contexts, extractTraceFrom({})]) linkTo(context);
    });
    await telemetry.stop();
    const spans = collector.spans();
    const named = (name: string) => spans.filter((span) => span.name === name);
    expect(named('one')[0]?.parentSpanId).toBe(named('send')[0]?.spanId);
    expect(named('batch')[0]?.parentSpanId).toBe('');
    expect(named('batch')[0]?.links.map(({ spanId }) => spanId)).toEqual(named('send').map(({ spanId }) => spanId));
  });

  it('without an endpoint nothing is loaded and no middleware is in the way', async () => {
    const telemetry = await openTelemetry('test', {});
    expect(telemetry).toBe(silentProcessTelemetry);
    expect(telemetry.forService('sae').serverMiddleware).toBeUndefined();
    expect(telemetry.forService('sae').clientMiddleware).toBeUndefined();
  });
});
