/**
 * What a service sees of tracing and metrics. Without an endpoint it is `silentTelemetry`: no SDK is loaded and no middleware is in
 * the way. Nothing here takes a prompt or an answer; spans carry counts, ids and hashes.
 */
import type { ClientMiddleware, ServerMiddleware } from 'nice-grpc';
import { type Metrics, silentMetrics } from './metrics.js';
import { NO_TRACE, type TraceContext } from './trace-carrier.js';

/** What may stand on a span: counts, ids, hashes, names of stages. */
export type Facts = Readonly<Record<string, string | number | boolean>>;

/** Which end of a queue a span is; absent: work of the process's own. */
export type QueueEnd = 'producer' | 'consumer';

/** A span while its work runs. */
export interface OpenSpan {
  /** For other spans that link to this one; holds none when telemetry is off. */
  readonly context: TraceContext;
  linkTo(other: TraceContext): void;
}

export interface Telemetry {
  readonly metrics: Metrics;
  /** Traces and times the calls that a server answers; absent when telemetry is off. */
  readonly serverMiddleware?: ServerMiddleware;
  /** The same for the calls that go out to `address`, and carries the trace along. */
  clientMiddleware?(address: string): ClientMiddleware;
  /** Runs the work in a span of its own. A throw marks the span with the fault's code and passes on. */
  inSpan<Result>(
    name: string,
    facts: Facts,
    work: (span: OpenSpan) => Promise<Result>,
    end?: QueueEnd,
  ): Promise<Result>;
}

/** Telemetry of one process, which may hold several services. */
export interface ProcessTelemetry {
  forService(service: string): Telemetry;
  /** Sends what is not sent yet, for at most some seconds. */
  stop(): Promise<void>;
}

export const silentTelemetry: Telemetry = {
  metrics: silentMetrics,
  inSpan: (_name, _facts, work) => work({ context: NO_TRACE, linkTo: () => {} }),
};

export const silentProcessTelemetry: ProcessTelemetry = {
  forService: () => silentTelemetry,
  stop: async () => {},
};

export interface TelemetrySettings {
  /** OTLP collector, such as "http://collector:4318"; absent: no traces, and no metrics by OTLP. */
  readonly otlpEndpoint?: string | undefined;
  readonly otlpProtocol?: 'grpc' | 'http/json' | undefined;
  /** "host:port" on which Prometheus may read; absent: none. */
  readonly metricsListen?: string | undefined;
  /** Share of new traces that are kept, in [0, 1]; a trace that a caller began follows the caller. Default 1. */
  readonly traceRatio?: number | undefined;
  /** Between two exports of metrics by OTLP. Default 15 s. */
  readonly metricsIntervalMs?: number | undefined;
}

/** Loads the SDK only if there is somewhere to send to. Throws CONFIG_INVALID if the metrics address cannot be listened on. */
export const openTelemetry = async (processName: string, settings: TelemetrySettings): Promise<ProcessTelemetry> => {
  if (settings.otlpEndpoint === undefined && settings.metricsListen === undefined) return silentProcessTelemetry;
  const { openSdkTelemetry } = await import('./sdk-telemetry.js');
  return openSdkTelemetry(processName, settings);
};
