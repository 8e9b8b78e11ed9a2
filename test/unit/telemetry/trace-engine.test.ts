import { describe, expect, it } from 'vitest';
import { MetCalls } from '../../../services/inference/engine/met-calls.js';
import type { Passage } from '../../../services/inference/engine/passage.js';
import type { EvaluationCall } from '../../../services/inference/engine/pending-evaluation.js';
import type { EngineThread, Jobs } from '../../../services/inference/thread/messages.js';
import { traceEngine } from '../../../services/inference/trace-engine.js';
import type { Telemetry } from '../../../shared/telemetry/telemetry.js';
import { NO_TRACE, type TraceContext } from '../../../shared/telemetry/trace-carrier.js';

const NAME = Symbol('name of a span');

/** Spans by number in the order of their begin; each context knows its number. */
const recordLinks = () => {
  const links: [number, number][] = [];
  let spans = 0;
  const inSpan: Telemetry['inSpan'] = (_name, _facts, work) => {
    const own = spans++;
    const linkTo = (other: TraceContext): void => void links.push([own, other.getValue(NAME) as number]);
    return work({ context: NO_TRACE.setValue(NAME, own), linkTo });
  };
  return { links, inSpan };
};

/** Runs jobs until `finish`; `meet` says that all that run shared a batch. */
const fakeEngine = () => {
  type Running = { ticket: number; emit: (event: Jobs['evaluate']['event']) => void; end: () => void };
  const running: Running[] = [];
  const run = (_kind: unknown, input: Jobs['evaluate']['input'], _signal: unknown, emit: Running['emit']) =>
    new Promise((resolve) => {
      running.push({ ticket: input.ticket ?? -1, emit, end: () => resolve({ bankDigest: 'b' }) });
    });
  const meet = (): void => {
    const tickets = running.map(({ ticket }) => ticket);
    for (const { ticket, emit } of running)
      emit({ results: [], bankDigest: 'b', met: tickets.filter((other) => other !== ticket) });
  };
  return { engine: { run } as unknown as EngineThread, running, meet };
};

const INPUT = { prompts: [], bank: { layers: [] }, score: {}, evaluations: [], firstTokenKl: false } as const;
const { signal } = new AbortController();

describe('jobs of the engine', () => {
  it('that shared a batch link to each other, and nobody hears of it as a result', async () => {
    const { links, inSpan } = recordLinks();
    const { engine, running, meet } = fakeEngine();
    const traced = traceEngine(engine, { inSpan });
    const heard: unknown[] = [];
    const input = INPUT as unknown as Jobs['evaluate']['input'];
    const jobs = [0, 1].map(() => traced.run('evaluate', input, signal, (event) => heard.push(event)));
    meet();
    running[0]!.emit({ results: [], bankDigest: 'b' });
    for (const { end } of running) end();
    await Promise.all(jobs);
    expect(links).toEqual([
      [0, 1],
      [1, 0],
    ]);
    expect(heard).toEqual([{ results: [], bankDigest: 'b' }]);
  });

  it('do not link to one that has ended', async () => {
    const { links, inSpan } = recordLinks();
    const { engine, running } = fakeEngine();
    const traced = traceEngine(engine, { inSpan });
    const input = INPUT as unknown as Jobs['evaluate']['input'];
    const first = traced.run('evaluate', input, signal);
    running[0]!.end();
    await first;
    const second = traced.run('evaluate', input, signal);
    running[1]!.emit({ results: [], bankDigest: 'b', met: [running[0]!.ticket] });
    running[1]!.end();
    await second;
    expect(links).toEqual([]);
  });
});

describe('calls of one batch', () => {
  const callOf = (told: string[], name: string, names: Map<EvaluationCall, string>): EvaluationCall => {
    const onMet = (others: readonly EvaluationCall[]) => told.push(`${name}: ${others.map((one) => names.get(one))}`);
    const call = { onMet } as unknown as EvaluationCall;
    names.set(call, name);
    return call;
  };
  const passageOf = (...calls: EvaluationCall[]) =>
    ({ waiting: calls.map((call) => ({ call })) }) as unknown as Passage;

  it('are told of each other once a pair; a call alone is told nothing', () => {
    const told: string[] = [];
    const names = new Map<EvaluationCall, string>();
    const [a, b, c] = ['a', 'b', 'c'].map((name) => callOf(told, name, names)) as [
      EvaluationCall,
      EvaluationCall,
      EvaluationCall,
    ];
    const met = new MetCalls();
    met.see([passageOf(a, a), passageOf(a)]);
    expect(told).toEqual([]);
    met.see([passageOf(a), passageOf(b)]);
    met.see([passageOf(a, b)]);
    expect(told.splice(0)).toEqual(['a: b', 'b: a']);
    met.see([passageOf(a), passageOf(b, c)]);
    expect(told).toEqual(['a: c', 'b: c', 'c: a,b']);
  });
});
