/**
 * The one door to the OpenTelemetry SDK and its exporters; loaded only when telemetry is on. One process has one exporter of spans and
 * one reader of metrics; each of its services has a tracer whose spans name it, so that the embedded mesh looks like the real one.
 */
import { context, propagation, SpanKind, SpanStatusCode, type Tracer } from '@opentelemetry/api';
import { OTLPMetricExporter as GrpcMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPMetricExporter as HttpMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http';
import { OTLPTraceExporter as GrpcTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { OTLPTraceExporter as HttpTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { core, metrics as metricsSdk, node, resources } from '@opentelemetry/sdk-node';
import { isFault } from '../errors/fault.js';
import { projectVersion } from '../project/version.js';
import { createClientTracing } from './client-tracing.js';
import { createMetrics } from './metrics.js';
import { openPrometheus } from './prometheus.js';
import { createServerTracing } from './server-tracing.js';
import type { Facts, OpenSpan, ProcessTelemetry, QueueEnd, Telemetry, TelemetrySettings } from './telemetry.js';
import { linkOf } from './trace-carrier.js';

const SCOPE = 'refusalscope';
// The names of spans and metrics follow this version of the conventions.
const SCHEMA_URL = 'https://opentelemetry.io/schemas/1.44.0';
const METRICS_INTERVAL_MS = 15_000;
const STOP_LIMIT_MS = 5_000;

export const openSdkTelemetry = async (processName: string, settings: TelemetrySettings): Promise<ProcessTelemetry> => {
  const { prometheus, readers } = await openReaders(settings);
  const meters = new metricsSdk.MeterProvider({ resource: resourceOf(processName), readers });
  const processor = spanProcessorOf(settings);
  const opened = new Map<string, Telemetry>();
  const open = (service: string): Telemetry => {
    const meter = meters.getMeter(SCOPE, projectVersion, { schemaUrl: SCHEMA_URL });
    const metrics = createMetrics(meter, { service });
    metrics.observe('refusal.build', () => 1, { version: projectVersion });
    const tracer = openTracer(service, settings, processor);
    return {
      metrics,
      serverMiddleware: createServerTracing(tracer, metrics),
      clientMiddleware: (address) => createClientTracing(tracer, metrics, address),
      inSpan: (name, facts, work, end) => inSpan(tracer, { name, facts, end }, work),
    };
  };
  const forService = (service: string): Telemetry => {
    const telemetry = opened.get(service) ?? open(service);
    opened.set(service, telemetry);
    return telemetry;
  };
  const stop = async () => {
    const limit = new Promise<void>((resolve) => setTimeout(resolve, STOP_LIMIT_MS).unref());
    const sent = Promise.allSettled([processor?.shutdown(), meters.shutdown(), prometheus?.stopServer()]);
    await Promise.race([sent, limit]);
  };
  return { forService, stop };
};

const resourceOf = (service: string) =>
  resources.resourceFromAttributes({
    'service.name': service,
    'service.namespace': SCOPE,
    'service.version': projectVersion,
    'service.instance.id': `${process.pid}`,
  });

const spanProcessorOf = ({ otlpEndpoint, otlpProtocol }: TelemetrySettings) => {
  if (otlpEndpoint === undefined) return undefined;
  const exporter =
    otlpProtocol === 'grpc'
      ? new GrpcTraceExporter({ url: otlpEndpoint })
      : new HttpTraceExporter({ url: `${otlpEndpoint}/v1/traces` });
  return new node.BatchSpanProcessor(exporter);
};

const openTracer = (
  service: string,
  { traceRatio = 1 }: TelemetrySettings,
  processor: node.SpanProcessor | undefined,
): Tracer => {
  const root = new node.TraceIdRatioBasedSampler(traceRatio);
  const provider = new node.NodeTracerProvider({
    resource: resourceOf(service),
    sampler: new node.ParentBasedSampler({ root }),
    spanProcessors: processor === undefined ? [] : [processor],
  });
  // What follows asynchronous work, and the form of the headers, are the process's own: the first service sets them.
  if (propagation.fields().length === 0) provider.register({ propagator: new core.W3CTraceContextPropagator() });
  return provider.getTracer(SCOPE, projectVersion, { schemaUrl: SCHEMA_URL });
};

const openReaders = async (settings: TelemetrySettings) => {
  const prometheus = settings.metricsListen === undefined ? undefined : await openPrometheus(settings.metricsListen);
  const readers: metricsSdk.IMetricReader[] = prometheus === undefined ? [] : [prometheus];
  if (settings.otlpEndpoint !== undefined) {
    const exporter =
      settings.otlpProtocol === 'grpc'
        ? new GrpcMetricExporter({ url: settings.otlpEndpoint })
        : new HttpMetricExporter({ url: `${settings.otlpEndpoint}/v1/metrics` });
    const exportIntervalMillis = settings.metricsIntervalMs ?? METRICS_INTERVAL_MS;
    const exportTimeoutMillis = Math.min(exportIntervalMillis, STOP_LIMIT_MS);
    readers.push(new metricsSdk.PeriodicExportingMetricReader({ exporter, exportIntervalMillis, exportTimeoutMillis }));
  }
  return { prometheus, readers };
};

interface SpanRequest {
  readonly name: string;
  readonly facts: Facts;
  readonly end: QueueEnd | undefined;
}

const KINDS = { producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER } as const;

const inSpan = <Result>(
  tracer: Tracer,
  { name, facts, end }: SpanRequest,
  work: (span: OpenSpan) => Promise<Result>,
): Promise<Result> => {
  const kind = end === undefined ? SpanKind.INTERNAL : KINDS[end];
  return tracer.startActiveSpan(name, { attributes: facts, kind }, async (span) => {
    const linkTo: OpenSpan['linkTo'] = (other) => {
      const link = linkOf(other);
      if (link !== undefined) span.addLink(link);
    };
    try {
      return await work({ context: context.active(), linkTo });
    } catch (thrown) {
      // Not the error itself: its text may quote a request.
      span.setAttribute('error.type', isFault(thrown) ? thrown.code : 'INTERNAL');
      // A caller that has what it wanted, or went away, is no error.
      if (!isFault(thrown, 'CANCELLED')) span.setStatus({ code: SpanStatusCode.ERROR });
      throw thrown;
    } finally {
      span.end();
    }
  });
};
