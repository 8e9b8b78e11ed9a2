import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadMechanism } from '../../../bench/truth/mechanism.js';
import { type PlantedModel, plantModel } from '../../../bench/truth/plant/plant-model.js';
import { CoordinatorServiceDefinition, ReportFormat } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';
import { openMeshEdges } from '../../../services/mesh/mesh-edges.js';
import { startMesh } from '../../../services/mesh/start-mesh.js';
import { loadConfig } from '../../../shared/config/load-config.js';
import { EDGE_SHAPE } from '../../../shared/process/edge-settings.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';
import { METRICS } from '../../../shared/telemetry/metric-registry.js';
import { type Collector, type SeenSpan, startCollector } from './otlp-collector.js';

/** A whole audit of a small planted model by the services that ship, with everything that telemetry sends kept. */
let folder: string;
let collector: Collector;
let planted: PlantedModel;
let prometheusText = '';
let logText = '';
let auditLogText = '';
let ended = '';
let report: { prompts: { firstWords: string }[]; verification: { flips: { firstWords: string }[] } };

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-trace-'));
  collector = await startCollector();
  const mechanism = loadMechanism(join(projectRoot, 'bench/truth/mechanisms/single.json'));
  planted = plantModel(mechanism, { folder, seed: 3, promptsPerCategory: 8 });
  const metricsPort = 40_000 + (process.pid % 20_000);
  const settings = loadConfig(EDGE_SHAPE, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    REFUSALSCOPE_METRICS_LISTEN: `127.0.0.1:${metricsPort}`,
    REFUSALSCOPE_AUDIT_LOG_DIR: join(folder, 'audit-logs'),
  });
  const logTo = {
    write: (line: string) => {
      logText += line;
    },
  };
  const edges = await openMeshEdges(settings, 'trace', logTo);
  const mesh = await startMesh({
    modelName: 'planted',
    modelPath: planted.modelFolder,
    saeDirs: [planted.saeFolder],
    threads: 1,
    cacheBytes: 64 << 20,
    stateDir: join(folder, 'state'),
    logLevel: 'trace',
    logTo,
    edges,
  });
  const edge = await edges.inside('cli');
  const { client, close } = connect(CoordinatorServiceDefinition, mesh.coordinatorAddress, { edge });
  await edges.telemetry.inSpan('refusalscope audit', {}, async () => {
    const { audit } = await client.createAudit({ spec: specOf(planted) });
    const id = audit?.id ?? '';
    for await (const { event } of client.watchAudit({ id })) {
      if (event?.event?.$case === 'auditEnded') ended = `${event.event.value.state} ${event.event.value.error}`;
    }
    const chunks: Uint8Array[] = [];
    for await (const { chunk } of client.getReport({ id, format: ReportFormat.REPORT_FORMAT_JSON })) chunks.push(chunk);
    report = JSON.parse(Buffer.concat(chunks).toString('utf8'));
  });
  prometheusText = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  close();
  await mesh.stop();
  await edges.close();
  auditLogText = readFileSync(join(folder, 'audit-logs/inference.jsonl'), 'utf8');
}, 240_000);
afterAll(async () => {
  await collector.stop();
  rmSync(folder, { recursive: true, force: true });
});

const specOf = ({ prompts }: PlantedModel) => ({
  model: 'planted',
  prompts: prompts.map(({ id, text, label }) => ({
    prompt: { id, input: { $case: 'text' as const, value: text } },
    label: label === 'harmful' ? PromptLabel.PROMPT_LABEL_HARMFUL : PromptLabel.PROMPT_LABEL_HARMLESS,
  })),
  maxSearchPrompts: 2,
  growth: [4],
  fmMasks: 32,
  fmFeatures: 4,
  controlDraws: 1,
  maxNewTokens: 8,
});

const SERVICES = ['cli', 'coordinator', 'fm', 'inference', 'sae', 'search'];

describe('one audit', () => {
  it('ends with a report', () => {
    expect(ended).toBe('2 ');
    expect(report.prompts.length).toBeGreaterThan(4);
  });

  it('is one trace from the command line through all five services', () => {
    const spans = collector.spans();
    expect([...new Set(spans.map(({ service }) => service))].sort()).toEqual(SERVICES);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
    expect(spans.filter(({ parentSpanId }) => parentSpanId === '').map(({ name }) => name)).toEqual([
      'refusalscope audit',
    ]);
    const ids = new Set(spans.map(({ spanId }) => spanId));
    expect(spans.filter(({ parentSpanId }) => parentSpanId !== '' && !ids.has(parentSpanId))).toEqual([]);
  });

  it('every batch of the engine hangs under the search that asked for it, under a stage, under the command', () => {
    const spans = new Map(collector.spans().map((span) => [span.spanId, span]));
    const pathOf = (span: SeenSpan | undefined): string[] =>
      span === undefined ? [] : [...pathOf(spans.get(span.parentSpanId)), `${span.service}: ${span.name}`];
    const engine = [...spans.values()].filter(({ name }) => name === 'engine evaluate').map((span) => pathOf(span));
    expect(engine.length).toBeGreaterThan(2);
    expect(engine).toContainEqual([
      'cli: refusalscope audit',
      'cli: refusalscope.v1.CoordinatorService/CreateAudit',
      'coordinator: refusalscope.v1.CoordinatorService/CreateAudit',
      'coordinator: audit',
      'coordinator: stage filter',
      'coordinator: refusalscope.v1.SearchService/FilterPrompt',
      'search: refusalscope.v1.SearchService/FilterPrompt',
      'search: refusalscope.v1.InferenceService/EvaluateMasks',
      'inference: refusalscope.v1.InferenceService/EvaluateMasks',
      'inference: engine evaluate',
    ]);
  });

  it('is counted, under names of the registry alone, on both ways out', () => {
    const names = [...collector.metricNames()];
    expect(names.filter((name) => !(name in METRICS))).toEqual([]);
    for (const name of [
      'refusal.evaluations',
      'refusal.token_blocks',
      'refusal.audits',
      'refusal.judge.verdicts',
    ] as const) {
      expect(names).toContain(name);
    }
    expect(prometheusText).toMatch(/^refusal_audits_total\{service="coordinator",outcome="succeeded"\} 1$/m);
    expect(prometheusText).toMatch(/^refusal_engine_evaluations_total\{service="inference",outcome="acted"\} \d+$/m);
    expect(prometheusText).toMatch(
      /^rpc_server_call_duration_seconds_bucket\{.*rpc_method="refusalscope\.v1\.SearchService\/FilterPrompt".*le="10"\} \d+$/m,
    );
  });
});

describe('the words of prompts and answers', () => {
  /** Runs of three words: single words of the planted vocabulary could be part of a name. */
  const runsOf = (text: string): string[] => {
    const words = text.trim().split(/\s+/);
    return words.length < 3 ? [] : words.slice(2).map((_, i) => words.slice(i, i + 3).join(' '));
  };
  const secrets = () => {
    const { prompts, verification } = report;
    const answers = verification.flips.map(({ firstWords }) => firstWords);
    return [
      ...planted.prompts.map(({ text }) => text),
      ...prompts.map(({ firstWords }) => firstWords),
      ...answers,
    ].flatMap(runsOf);
  };

  it.each([
    ['spans and metrics that were sent', () => collector.bodies.join('\n')],
    ['what Prometheus reads', () => prometheusText],
    ['the log at its most talkative', () => logText],
    ['the audit log', () => auditLogText],
  ])('are not in %s', (_what, read) => {
    const text = read();
    expect(text.length).toBeGreaterThan(1000);
    expect(secrets().length).toBeGreaterThan(20);
    expect(secrets().filter((secret) => text.includes(secret))).toEqual([]);
  });

  it('would have been found: they are in the report', () => {
    const text = JSON.stringify(report);
    expect(secrets().some((secret) => text.includes(secret))).toBe(true);
  });
});
