/** Serves metrics for Prometheus, under the names that the collector gives them too: with the unit behind the name. */
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import type { metrics as metricsSdk } from '@opentelemetry/sdk-node';
import { fault } from '../errors/fault.js';
import { unitSuffix } from './metric-registry.js';

/** The exporter leaves units out of names, and a dashboard would have to know which way a number came. */
class NamedExporter extends PrometheusExporter {
  override async collect(options?: metricsSdk.MetricCollectOptions): Promise<metricsSdk.CollectionResult> {
    const { resourceMetrics, errors } = await super.collect(options);
    const scopeMetrics = resourceMetrics.scopeMetrics.map((scope) => ({
      ...scope,
      metrics: scope.metrics.map(withUnit),
    }));
    return { errors, resourceMetrics: { ...resourceMetrics, scopeMetrics } };
  }
}

const withUnit = <Metric extends metricsSdk.MetricData>(metric: Metric): Metric => {
  const { descriptor } = metric;
  return { ...metric, descriptor: { ...descriptor, name: descriptor.name + unitSuffix(descriptor.unit) } };
};

/** `address` is "host:port". Throws CONFIG_INVALID if it cannot be listened on. */
export const openPrometheus = async (address: string): Promise<PrometheusExporter> => {
  const colon = address.lastIndexOf(':');
  const exporter = new NamedExporter({
    host: address.slice(0, colon).replace(/^\[|\]$/g, ''),
    port: Number(address.slice(colon + 1)),
    preventServerStart: true,
    withoutScopeInfo: true,
  });
  try {
    await exporter.startServer();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw fault('CONFIG_INVALID', `Metrics cannot be served on ${address}: ${reason}. Choose a free port.`, { cause });
  }
  return exporter;
};
