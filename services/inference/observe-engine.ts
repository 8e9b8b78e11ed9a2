/**
 * The engine's thread, seen: a duration for each job, and counts of what evaluations did.
 * Prevents: edits that act on nothing and that nobody notices, because each caller saw only its own.
 */
import type { Metrics } from '../../shared/telemetry/metrics.js';
import type { EngineThread, Jobs } from './thread/messages.js';

type Kind = keyof Jobs;
type Evaluate = Jobs['evaluate'];

export const observeEngine = (engine: EngineThread, metrics: Metrics): EngineThread => {
  let queued = 0;
  metrics.observe('refusal.queue.depth', () => queued);
  const evaluations = {
    began: ({ evaluations: asked }: Evaluate['input']) => {
      queued += asked.length;
    },
    answered: (input: Evaluate['input'], { results }: Evaluate['event']) => {
      queued -= results.length;
      for (const { index, acted, tokenBlocks } of results) {
        const outcome = acted ? 'acted' : hasEdits(input.evaluations[index]?.bits) ? 'noop' : 'clean';
        metrics.add('refusal.engine.evaluations', 1, { outcome });
        metrics.add('refusal.token_blocks', tokenBlocks);
        if (tokenBlocks === 0) metrics.add('refusal.cache.hits', 1);
        if (outcome === 'noop') metrics.add('refusal.noop_interventions', 1, { kind: 'evaluation' });
      }
      return results.length;
    },
    ended: (unanswered: number) => {
      queued -= unanswered;
    },
  };
  const generated = ({ bank }: Jobs['generate']['input'], event: Jobs['generate']['event']) => {
    const isNoop = bank !== undefined && event.finish !== undefined && (event.proof ?? []).length === 0;
    if (isNoop) metrics.add('refusal.noop_interventions', 1, { kind: 'answer' });
  };
  const runObserved = async <Job extends Kind>(
    kind: Job,
    input: Jobs[Job]['input'],
    signal: AbortSignal,
    onEvent: (event: Jobs[Job]['event']) => void,
  ): Promise<Jobs[Job]['output']> => {
    let unanswered = 0;
    if (kind === 'evaluate') {
      evaluations.began(input as Evaluate['input']);
      unanswered = (input as Evaluate['input']).evaluations.length;
    }
    const see = (event: Jobs[Job]['event']) => {
      if (kind === 'evaluate')
        unanswered -= evaluations.answered(input as Evaluate['input'], event as Evaluate['event']);
      if (kind === 'generate') generated(input as Jobs['generate']['input'], event as Jobs['generate']['event']);
      onEvent(event);
    };
    const startedAt = performance.now();
    try {
      return await engine.run(kind, input, signal, see);
    } finally {
      evaluations.ended(unanswered);
      metrics.record('refusal.engine.job.duration', (performance.now() - startedAt) / 1000, { kind });
    }
  };
  return {
    ready: engine.ready,
    stop: () => engine.stop(),
    run: (kind, input, signal, onEvent = () => {}) =>
      kind === 'statistics' ? engine.run(kind, input, signal, onEvent) : runObserved(kind, input, signal, onEvent),
  };
};

const hasEdits = (bits: Uint8Array | undefined): boolean => bits?.some((byte) => byte !== 0) ?? false;
