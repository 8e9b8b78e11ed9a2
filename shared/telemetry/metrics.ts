/** The metrics of the registry as functions: a name outside it does not compile, a label outside its row is a defect that throws. */
import type { Attributes, Counter, Histogram, Meter } from '@opentelemetry/api';
import { METRICS, type MetricName } from './metric-registry.js';

type NamesOf<Kind> = { [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends Kind ? Name : never }[MetricName];
export type CounterName = NamesOf<'counter'>;
export type HistogramName = NamesOf<'histogram'>;
export type GaugeName = NamesOf<'gauge'>;
export type Labels = Readonly<Record<string, string>>;

export interface Metrics {
  /** `value` >= 0, in the metric's unit. */
  add(name: CounterName, value: number, labels?: Labels): void;
  record(name: HistogramName, value: number, labels?: Labels): void;
  /** `read` is called at each export, for as long as the process lives; undefined leaves the point out. */
  observe(name: GaugeName, read: () => number | undefined, labels?: Labels): void;
}

export const silentMetrics: Metrics = { add: () => {}, record: () => {}, observe: () => {} };

/** `fixed` labels stand on every point (the service, where one process holds several). */
export const createMetrics = (meter: Meter, fixed: Attributes): Metrics => {
  const counters = new Map<CounterName, Counter>();
  const histograms = new Map<HistogramName, Histogram>();
  const counterOf = (name: CounterName) => keep(counters, name, () => meter.createCounter(name, optionsOf(name)));
  const histogramOf = (name: HistogramName) =>
    keep(histograms, name, () => {
      const advice = { explicitBucketBoundaries: [...METRICS[name].buckets] };
      return meter.createHistogram(name, { ...optionsOf(name), advice });
    });
  const attributesOf = (name: MetricName, labels: Labels = {}): Attributes => {
    assertLabels(name, labels);
    return { ...fixed, ...labels };
  };
  return {
    add: (name, value, labels) => counterOf(name).add(value, attributesOf(name, labels)),
    record: (name, value, labels) => histogramOf(name).record(value, attributesOf(name, labels)),
    observe: (name, read, labels) => {
      const attributes = attributesOf(name, labels);
      meter.createObservableGauge(name, optionsOf(name)).addCallback((result) => {
        const value = read();
        if (value !== undefined) result.observe(value, attributes);
      });
    },
  };
};

const optionsOf = (name: MetricName) => ({ unit: METRICS[name].unit, description: METRICS[name].meaning });

const keep = <Name, Instrument>(made: Map<Name, Instrument>, name: Name, make: () => Instrument): Instrument => {
  const instrument = made.get(name) ?? make();
  made.set(name, instrument);
  return instrument;
};

const assertLabels = (name: MetricName, labels: Labels): void => {
  const known: readonly string[] = METRICS[name].labels;
  const unknown = Object.keys(labels).find((label) => !known.includes(label));
  if (unknown !== undefined) throw new Error(`The metric ${name} has no label "${unknown}" in its registry.`);
};
