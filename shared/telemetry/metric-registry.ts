/**
 * Every metric of this project: name, kind, unit, labels, meaning. The dashboard, the alert rules and docs/observability.md may name
 * no other (a test compares them). Labels have few values: never a prompt, an audit id, a feature or a key.
 * Prevents: two services that count the same thing under two names, and a dashboard that shows an empty panel for ever.
 */

export type MetricKind = 'counter' | 'histogram' | 'gauge';

export interface MetricRow {
  readonly kind: MetricKind;
  /** UCUM, as OpenTelemetry writes it: "s", "By", "{evaluation}". */
  readonly unit: string;
  readonly labels: readonly string[];
  readonly meaning: string;
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[];
}

// OpenTelemetry's advice for RPC durations (semantic conventions 1.44).
const RPC_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
// A batch of a 135M model takes some 50 ms on two cores, one of an 8B model seconds.
const BATCH_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const JOB_SECONDS = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 1800];

const counter = (unit: string, labels: readonly string[], meaning: string) =>
  ({ kind: 'counter', unit, labels, meaning }) as const;
const gauge = (unit: string, labels: readonly string[], meaning: string) =>
  ({ kind: 'gauge', unit, labels, meaning }) as const;
const seconds = (buckets: readonly number[], labels: readonly string[], meaning: string) =>
  ({ kind: 'histogram', unit: 's', labels, meaning, buckets }) as const;

const RPC_LABELS = ['rpc.system.name', 'rpc.method', 'rpc.status_code', 'error.type'];

export const METRICS = {
  'rpc.server.call.duration': seconds(RPC_SECONDS, RPC_LABELS, 'Time from the first byte of a call to its status.'),
  'rpc.client.call.duration': seconds(RPC_SECONDS, RPC_LABELS, 'The same as the caller sees it, one try at a time.'),
  'refusal.evaluations': counter(
    '{evaluation}',
    ['stage', 'outcome'],
    'Evaluations that a stage of search got from inference: "acted", "unchanged" (no edit on changed anything), and "reused" (known before).',
  ),
  'refusal.engine.evaluations': counter(
    '{evaluation}',
    ['outcome'],
    'Evaluations that the engine answered: "acted", "clean" (no edit was on) or "noop" (edits were on and none acted).',
  ),
  'refusal.token_blocks': counter('{token_block}', [], 'Tokens times blocks that the engine computed for evaluations.'),
  'refusal.cache.hits': counter('{evaluation}', [], 'Evaluations whose state another one had already led to.'),
  'refusal.noop_interventions': counter(
    '{intervention}',
    ['kind'],
    'Evaluations and answers under edits that changed nothing: each was reported as such to its caller.',
  ),
  'refusal.queue.depth': gauge('{evaluation}', [], 'Evaluations that were asked for and are not answered.'),
  'refusal.work.items': counter(
    '{item}',
    ['outcome'],
    'Items of the work queue that ended at this pod: "done", "repeated" (its outcome was stored already), "retried" (comes back), "dead" (a dead letter).',
  ),
  'refusal.cache.size': gauge('By', [], 'Residuals and keys that the engine keeps.'),
  'refusal.engine.batch.duration': seconds(BATCH_SECONDS, [], 'One batch of the engine through its blocks.'),
  'refusal.engine.job.duration': seconds(JOB_SECONDS, ['kind'], 'One job of the engine, waiting included.'),
  'refusal.engine.wedged': gauge('{engine}', [], '1 while the engine has work and its heartbeat is overdue.'),
  'refusal.judge.verdicts': counter('{answer}', ['stage', 'verdict'], 'Answers that the judge read, by verdict.'),
  'refusal.judge.failures': counter('{answer}', ['stage'], 'Answers that the judge could not read.'),
  'refusal.audits': counter('{audit}', ['outcome'], 'Audits that ended: succeeded, failed, cancelled, interrupted.'),
  'refusal.audits.running': gauge('{audit}', [], 'Audits that this coordinator works on.'),
  'refusal.audit.stage.duration': seconds(JOB_SECONDS, ['stage'], 'One stage of an audit.'),
  'refusal.auth.denials': counter('{call}', ['reason'], 'Calls that were refused: "unauthenticated" or "forbidden".'),
  'refusal.audit_log.failures': counter(
    '{line}',
    [],
    'Lines of the audit log that could not be written: their calls were refused.',
  ),
  'refusal.tls.reloads': counter(
    '{reload}',
    ['outcome'],
    'Certificates read again from disk: "loaded" or "kept" (unusable).',
  ),
  'refusal.build': gauge('{build}', ['version'], 'Always 1; its label is the version that runs.'),
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

// Units in braces are annotations and append nothing.
const UNIT_SUFFIX: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' };

/** What Prometheus' conventions append for a unit; the collector does the same by itself. */
export const unitSuffix = (unit: string): string => UNIT_SUFFIX[unit] ?? '';

/** The name under which Prometheus shows a metric, without the suffixes of a histogram's parts (_bucket, _sum, _count). */
export const prometheusName = (name: MetricName): string => {
  const { unit, kind } = METRICS[name];
  return name.replaceAll('.', '_') + unitSuffix(unit) + (kind === 'counter' ? '_total' : '');
};
