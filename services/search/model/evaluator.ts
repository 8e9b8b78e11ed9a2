/**
 * Asks the model for evaluations, each at most once. What the request brought along, what was asked before and what is in flight
 * is answered from memory; the rest goes out in bounded batches, few at a time, and each result is reported the moment it is in,
 * so that a kill loses little.
 */
import { fault } from '../../../shared/errors/fault.js';
import type { Bank } from './bank.js';
import { digestOfPrompt, digestOfScore, keyOf, keyPrefix } from './evaluation-key.js';
import type { Evaluation, ModelFacts, Prompt, RefusalModel, ScoreSpec, TokenizedPrompt } from './model-port.js';

export interface PreparedPrompt {
  readonly prompt: Prompt;
  readonly tokens: TokenizedPrompt;
  readonly keyPrefix: string;
}

/** One prompt with these edits of the bank on. */
export interface Ask {
  readonly prompt: PreparedPrompt;
  readonly bank: Bank;
  readonly on: readonly number[];
}

export interface EvaluationRecord {
  /** Lower-case hex sha256. */
  readonly key: string;
  readonly evaluation: Evaluation;
}

export interface EvaluatorOptions {
  readonly model: RefusalModel;
  readonly facts: ModelFacts;
  readonly score: ScoreSpec;
  readonly known: readonly EvaluationRecord[];
  readonly onRecord: (record: EvaluationRecord) => void;
  readonly signal: AbortSignal;
  readonly batchSize?: number;
  readonly concurrency?: number;
}

export interface Evaluator {
  prepare(prompt: Prompt, tokens: TokenizedPrompt): PreparedPrompt;
  /** Answers in the order of `asks`. @throws CANCELLED between batches once the signal aborts. */
  evaluate(asks: readonly Ask[], options?: { readonly firstTokenKl?: boolean }): Promise<readonly Evaluation[]>;
  /** Distinct evaluations asked for, and of these how many were known or needed no work of the model. */
  counts(): { readonly asked: number; readonly reused: number };
}

/** Masks a request: enough to fill the engine's batches, small enough that results and cancellation come soon. */
const BATCH_SIZE = 256;
/** Two: one batch is computed while the next is on its way. */
const CONCURRENCY = 2;

interface Entry {
  readonly answer: Promise<Evaluation>;
  readonly hasKl: boolean;
}

interface Pending {
  readonly key: string;
  readonly ask: Ask;
  readonly resolve: (evaluation: Evaluation) => void;
  readonly reject: (reason: unknown) => void;
}

export function createEvaluator(options: EvaluatorOptions): Evaluator {
  const { facts, signal } = options;
  const scoreDigest = digestOfScore(options.score);
  const batchSize = Math.min(options.batchSize ?? BATCH_SIZE, facts.limits.maxEvaluations);
  const known = new Map(options.known.map((record) => [record.key, record.evaluation]));
  const entries = new Map<string, Entry>();
  const gate = createGate(options.concurrency ?? CONCURRENCY);
  const counts = { asked: 0, reused: 0 };

  const settle = (pending: Pending, evaluation: Evaluation, tokenBlocks: number): void => {
    const changedNothing = !evaluation.acted && pending.ask.on.length > 0;
    if (changedNothing || tokenBlocks === 0) counts.reused++;
    options.onRecord({ key: pending.key, evaluation });
    pending.resolve(evaluation);
  };

  const askModel = async (batch: readonly Pending[], firstTokenKl: boolean): Promise<void> => {
    throwIfAborted(signal);
    const prompts = [...new Set(batch.map(({ ask }) => ask.prompt.prompt))];
    const evaluations = batch.map(({ ask }) => ({ prompt: prompts.indexOf(ask.prompt.prompt), on: ask.on }));
    const { bank } = batch[0]!.ask;
    let answered = 0;
    const stream = options.model.evaluate({ prompts, bank, score: options.score, evaluations, firstTokenKl }, signal);
    for await (const results of stream) {
      for (const { index, evaluation, tokenBlocks } of results) settle(batch[index]!, evaluation, tokenBlocks);
      answered += results.length;
    }
    if (answered < batch.length)
      throw fault('PEER_UNAVAILABLE', `Inference answered ${answered} of ${batch.length} evaluations, then ended.`);
  };

  const send = (batch: readonly Pending[], firstTokenKl: boolean): Promise<void> =>
    gate(() => askModel(batch, firstTokenKl)).catch((reason: unknown) => {
      for (const pending of batch) pending.reject(reason);
    });

  const entryOf = (key: string, ask: Ask, wantKl: boolean, fresh: Pending[]): Entry => {
    const existing = entries.get(key);
    if (existing !== undefined && (existing.hasKl || !wantKl)) return existing;
    counts.asked++;
    const record = known.get(key);
    if (record !== undefined && (record.firstTokenKl !== undefined || !wantKl)) {
      counts.reused++;
      return { answer: Promise.resolve(record), hasKl: record.firstTokenKl !== undefined };
    }
    const { promise, resolve, reject } = withResolvers<Evaluation>();
    promise.catch(() => undefined);
    fresh.push({ key, ask, resolve, reject });
    return { answer: promise, hasKl: wantKl };
  };

  return {
    prepare: (prompt, tokens) => ({
      prompt,
      tokens,
      keyPrefix: keyPrefix(facts.digest, digestOfPrompt(tokens), scoreDigest),
    }),
    evaluate: async (asks, { firstTokenKl = false } = {}) => {
      throwIfAborted(signal);
      const fresh: Pending[] = [];
      const answers = asks.map((ask) => {
        const key = keyOf(ask.prompt.keyPrefix, ask.bank, ask.on);
        const entry = entryOf(key, ask, firstTokenKl, fresh);
        entries.set(key, entry);
        return entry.answer;
      });
      for (const batch of batchesOf(fresh, batchSize, facts.limits.maxPrompts)) void send(batch, firstTokenKl);
      return Promise.all(answers);
    },
    counts: () => ({ ...counts }),
  };
}

/** Batches of one bank each, with no more masks and no more prompts than a request may hold. */
function batchesOf(pending: readonly Pending[], maxMasks: number, maxPrompts: number): Pending[][] {
  const batches: Pending[][] = [];
  for (const sameBank of groupByBank(pending)) {
    let batch: Pending[] = [];
    let prompts = new Set<Prompt>();
    for (const item of sameBank) {
      const isNew = !prompts.has(item.ask.prompt.prompt);
      if (batch.length === maxMasks || (isNew && prompts.size === maxPrompts)) {
        batches.push(batch);
        batch = [];
        prompts = new Set();
      }
      batch.push(item);
      prompts.add(item.ask.prompt.prompt);
    }
    if (batch.length > 0) batches.push(batch);
  }
  return batches;
}

function groupByBank(pending: readonly Pending[]): Iterable<Pending[]> {
  const groups = new Map<Bank, Pending[]>();
  for (const item of pending) {
    const group = groups.get(item.ask.bank);
    if (group === undefined) groups.set(item.ask.bank, [item]);
    else group.push(item);
  }
  return groups.values();
}

export function throwIfAborted(signal: AbortSignal): void {
  if (signal.aborted) throw fault('CANCELLED', 'The search was cancelled; what it had evaluated was already reported.');
}

/** Runs at most `width` tasks at once, in the order they came. */
function createGate(width: number): <T>(task: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (task) => {
    if (running < width) running++;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await task();
    } finally {
      // The slot passes on to the one that waits longest; only without one does it become free.
      const next = waiting.shift();
      if (next === undefined) running--;
      else next();
    }
  };
}

function withResolvers<T>() {
  let resolve!: (value: T) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
