/**
 * The engine's thread with a span a job. Evaluations that shared a batch link to each other, in whichever traces they are: a batch joins
 * what several requests ask for and is no child of one of them.
 */
import type { Facts, OpenSpan, Telemetry } from '../../shared/telemetry/telemetry.js';
import { NO_TRACE, type TraceContext } from '../../shared/telemetry/trace-carrier.js';
import type { EngineThread, Jobs } from './thread/messages.js';

type Evaluate = Jobs['evaluate'];

export const traceEngine = (engine: EngineThread, { inSpan }: Pick<Telemetry, 'inSpan'>): EngineThread => {
  const running = new Map<number, TraceContext>();
  let last = 0;
  const evaluateIn = async (
    span: OpenSpan,
    input: Evaluate['input'],
    signal: AbortSignal,
    onEvent: (event: Evaluate['event']) => void,
  ): Promise<Evaluate['output']> => {
    const ticket = ++last;
    running.set(ticket, span.context);
    const link = (met: readonly number[]): void => {
      for (const other of met) {
        // Both ran when their batch did; one that has ended since has its own link to this one.
        const context = running.get(other);
        if (context !== undefined) span.linkTo(context);
      }
    };
    try {
      return await engine.run('evaluate', { ...input, ticket }, signal, (event) =>
        event.met === undefined ? onEvent(event) : link(event.met),
      );
    } finally {
      running.delete(ticket);
    }
  };
  const run: EngineThread['run'] = (kind, input, signal, onEvent = () => {}) => {
    if (kind === 'statistics') return engine.run(kind, input, signal, onEvent);
    type Output = Jobs[typeof kind]['output'];
    return inSpan<Output>(`engine ${kind}`, factsOf(input), (span) => {
      // Without telemetry nobody asks whom a job met.
      if (kind !== 'evaluate' || span.context === NO_TRACE) return engine.run(kind, input, signal, onEvent);
      const see = onEvent as (event: Evaluate['event']) => void;
      return evaluateIn(span, input as Evaluate['input'], signal, see) as Promise<Output>;
    });
  };
  return { ready: engine.ready, stop: () => engine.stop(), run };
};

const factsOf = (input: object): Facts => {
  const count = (field: string): number => {
    const list: unknown = Reflect.get(input, field);
    return Array.isArray(list) ? list.length : 0;
  };
  return { 'refusal.prompt.count': count('prompts'), 'refusal.evaluation.count': count('evaluations') };
};
