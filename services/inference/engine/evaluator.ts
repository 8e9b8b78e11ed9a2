/**
 * Answers evaluations so that nothing is computed twice. Each evaluation walks the tree of states; where it needs what is not
 * known yet (how a state's residual looks at a deeper layer, or its outcome) it waits on that state's passage. Passages at the
 * lowest layer run first, so that those behind catch up and travel in larger batches.
 *
 *   1. admit evaluations, callers in turn
 *   2. read the edits at the lowest layer where passages stand; evaluations move on to the states those edits lead to
 *   3. run as many passages of that layer as fit a batch up to their next stop, or through the head
 */
import { findChanges } from './apply-edits.js';
import { type Finished, runConvoy } from './convoy.js';
import type { LayerGroup } from './edit-bank.js';
import { MetCalls } from './met-calls.js';
import { Passage } from './passage.js';
import { type EvaluationCall, type EvaluationOutput, PendingEvaluation } from './pending-evaluation.js';
import { StateScorer } from './score-states.js';
import { promptKey, ScoredPrompt } from './scored-prompt.js';
import type { StateCache } from './state-cache.js';
import type { StateNode } from './state-node.js';
import type { Transformer } from './transformer.js';

export interface EvaluatorOptions {
  /** Positions a batch, padding included; measured at start-up. */
  readonly batchTokens: number;
  /** Evaluations that walk the tree at once. */
  readonly maxActive: number;
  /** Called after each batch with the seconds that its blocks took. */
  readonly onBatch?: (seconds: number) => void;
}

interface Caller {
  readonly call: EvaluationCall;
  next: number;
  unfinished: number;
  done: EvaluationOutput[];
  resolve: () => void;
  reject: (thrown: unknown) => void;
}

/** Evaluations admitted from one caller before the next caller's turn. */
const TURN = 16;

export class Evaluator {
  private readonly callers: Caller[] = [];
  private readonly byCall = new Map<EvaluationCall, Caller>();
  private passages: Passage[] = [];
  private readonly passageOf = new Map<StateNode, Passage[]>();
  private readonly scorer: StateScorer;
  private readonly met = new MetCalls();
  private active = 0;
  private running = false;

  constructor(
    private readonly transformer: Transformer,
    private readonly cache: StateCache,
    private readonly options: EvaluatorOptions,
  ) {
    this.scorer = new StateScorer(transformer);
  }

  /** Evaluations that were asked for and are not answered. */
  get queued(): number {
    return this.callers.reduce((sum, { unfinished }) => sum + unfinished, 0);
  }

  /** Resolves once every evaluation of the call was given to onResults; rejects if the call is aborted or the engine fails. */
  evaluate(call: EvaluationCall): Promise<void> {
    if (call.evaluations.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const unfinished = call.evaluations.length;
      const caller: Caller = { call, next: 0, unfinished, done: [], resolve, reject };
      this.callers.push(caller);
      this.byCall.set(call, caller);
      if (!this.running) void this.run();
    });
  }

  private async run(): Promise<void> {
    this.running = true;
    try {
      while (this.callers.length > 0) {
        this.dropAborted();
        this.admit();
        await this.step();
        this.deliver();
        this.cache.evict();
        // Lets messages in (aborts, new calls) between two batches.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (thrown) {
      this.failAll(thrown);
    } finally {
      this.running = false;
    }
  }

  private admit(): void {
    for (let idle = 0; this.active < this.options.maxActive && idle < this.callers.length; ) {
      const caller = this.callers.shift() as Caller;
      this.callers.push(caller);
      const { evaluations } = caller.call;
      const to = Math.min(evaluations.length, caller.next + TURN);
      idle = caller.next === to ? idle + 1 : 0;
      for (; caller.next < to; caller.next++) {
        this.active++;
        this.advance(new PendingEvaluation(caller.call, caller.next, this.rootOf(caller.call, caller.next)));
      }
    }
  }

  private rootOf(call: EvaluationCall, index: number): StateNode {
    const input = call.prompts[call.evaluations[index].prompt];
    return this.cache.root(promptKey(input, call.tree), () => {
      const prompt = new ScoredPrompt(input, call.tree, this.transformer.spec);
      return { prompt, embedding: this.transformer.embed(prompt.tokenIds) };
    });
  }

  /** Walks as far as what is known allows; then the evaluation is answered, or waits on a passage. */
  private advance(pending: PendingEvaluation): void {
    for (let gap = this.gapOf(pending); gap !== undefined; gap = this.gapOf(pending)) {
      if (gap !== 'walked') {
        this.waitFor(pending, gap);
        return;
      }
    }
    this.finish(pending);
  }

  /** The layer at which something is missing; 'walked' after a step to the next group; undefined once the answer is known. */
  private gapOf(pending: PendingEvaluation): number | 'walked' | undefined {
    const { node, call } = pending;
    const unknown = node.isRoot ? this.cleanGap(node, call) : undefined;
    if (unknown !== undefined) return unknown;
    const group = pending.nextGroup();
    if (group === undefined) return isScored(node, call) ? undefined : this.transformer.spec.nLayers;
    if (!node.changes.has(group.key)) return group.layer;
    const changes = node.effectiveChanges(group, pending.isOn(group));
    pending.settle(changes.length === 0 ? node : this.cache.child(node, group, changes));
    return 'walked';
  }

  /** A clean prompt is run whole before anything starts from it: the first layer where something is missing, or undefined. */
  private cleanGap(root: StateNode, call: EvaluationCall): number | undefined {
    const unread = call.bank.groups.find((group) => !root.changes.has(group.key));
    if (unread !== undefined) return unread.layer;
    return isScored(root, call) ? undefined : this.transformer.spec.nLayers;
  }

  /** Joins the passage of the node that is furthest but not beyond `layer`, or starts one from the deepest residual kept. */
  private waitFor(pending: PendingEvaluation, layer: number): void {
    const { node } = pending;
    const own = this.passageOf.get(node) ?? [];
    const near = own.filter((candidate) => candidate.layer <= layer).sort((a, b) => b.layer - a.layer);
    let passage: Passage | undefined = near[0];
    if (passage === undefined || node.deepestResidual(layer) > passage.layer) {
      const from = node.deepestResidual(layer);
      passage = new Passage(node, from, node.residuals.get(from) as Float32Array);
      node.users++;
      this.passages.push(passage);
      this.passageOf.set(node, [...own, passage]);
    }
    passage.waiting.push(pending);
  }

  private async step(): Promise<void> {
    if (this.passages.length === 0) return;
    const layer = Math.min(...this.passages.map((passage) => passage.layer));
    const here = this.passages.filter((passage) => passage.layer === layer);
    const unread = here.filter((passage) => passage.unreadGroups().length > 0);
    if (unread.length > 0) return this.readEdits(unread);
    const batch = this.chooseBatch(here);
    if (this.callers.length > 1) this.met.see(batch);
    const finished =
      layer === this.transformer.spec.nLayers - 1
        ? batch.map((passage) => this.scoredRowsOf(passage))
        : await this.runTimed(batch);
    if (finished.length > 0) await this.scorer.score(finished);
    for (const { passage } of finished) this.release(passage);
    for (const passage of batch) if (!finished.some((one) => one.passage === passage)) this.cache.touch(passage.node);
    for (const { passage } of finished) for (const pending of passage.waiting) this.advance(pending);
  }

  private async runTimed(batch: readonly Passage[]): Promise<Finished[]> {
    const startedAt = performance.now();
    // States in use alone are more than may be kept: none gets a residual that it does not need itself.
    const finished = await runConvoy(this.transformer, batch, this.cache.isOverBudget);
    this.options.onBatch?.((performance.now() - startedAt) / 1000);
    return finished;
  }

  /** Asks every group at the passages' layer what it would change; then the evaluations that waited for it walk on. */
  private async readEdits(passages: readonly Passage[]): Promise<void> {
    const groups = new Map<string, LayerGroup>();
    for (const passage of passages) for (const group of passage.unreadGroups()) groups.set(group.key, group);
    for (const group of groups.values()) {
      const ask = passages.filter((passage) => passage.unreadGroups().some(({ key }) => key === group.key));
      await this.readGroup(group, ask);
    }
    for (const passage of passages) {
      const waiting = passage.waiting;
      passage.waiting = [];
      for (const pending of waiting) this.advance(pending);
      if (passage.waiting.length === 0) this.release(passage);
    }
  }

  private async readGroup(group: LayerGroup, passages: readonly Passage[]): Promise<void> {
    const rows = new Float32Array(passages.reduce((sum, { residual }) => sum + residual.length, 0));
    let at = 0;
    for (const { residual } of passages) {
      rows.set(residual, at);
      at += residual.length;
    }
    const z = await this.transformer.read(rows, group.read, group.bias);
    at = 0;
    for (const { node, count } of passages) {
      const own = z.subarray(at, at + count * group.count);
      node.changes.set(group.key, findChanges(group, own, node.start, node.prompt.landmarks));
      at += own.length;
    }
  }

  /**
   * Passages of one shape, of the shape that most have, as many as fit the budget. Without padding the arithmetic of a row is the same
   * whatever else is in the batch, so that a score never depends on what was evaluated beside it.
   */
  private chooseBatch(here: readonly Passage[]): Passage[] {
    const byShape = new Map<string, Passage[]>();
    for (const passage of here) {
      const shape = `${passage.node.start} ${passage.count}`;
      byShape.set(shape, [...(byShape.get(shape) ?? []), passage]);
    }
    const [most] = [...byShape.values()].sort((a, b) => b.length - a.length);
    return most.slice(0, Math.max(1, Math.floor(this.options.batchTokens / most[0].count)));
  }

  private scoredRowsOf(passage: Passage): Finished {
    const { node, residual } = passage;
    const { dModel } = this.transformer.spec;
    const first = Math.max(0, node.prompt.landmarks.promptLength - 1 - node.start);
    return { passage, rows: residual.slice(first * dModel) };
  }

  private release(passage: Passage): void {
    this.passages = this.passages.filter((other) => other !== passage);
    const rest = (this.passageOf.get(passage.node) ?? []).filter((other) => other !== passage);
    if (rest.length === 0) this.passageOf.delete(passage.node);
    else this.passageOf.set(passage.node, rest);
    passage.node.users--;
    this.cache.touch(passage.node);
  }

  private finish(pending: PendingEvaluation): void {
    this.active--;
    this.cache.touch(pending.node);
    const output = pending.output();
    pending.leave();
    this.byCall.get(pending.call)?.done.push(output);
  }

  /** Gives finished results out; a call whose last result went out is over. */
  private deliver(): void {
    for (const caller of [...this.callers]) {
      if (caller.done.length === 0) continue;
      const results = caller.done;
      caller.done = [];
      caller.unfinished -= results.length;
      caller.call.onResults(results);
      if (caller.unfinished === 0) this.remove(caller).resolve();
    }
  }

  /** Forgets aborted calls and what only they waited for. */
  private dropAborted(): void {
    const aborted = this.callers.filter(({ call }) => call.signal.aborted);
    if (aborted.length === 0) return;
    const gone = new Set(aborted.map(({ call }) => call));
    for (const passage of [...this.passages]) {
      for (const pending of passage.waiting.filter(({ call }) => gone.has(call))) {
        pending.leave();
        this.active--;
      }
      passage.waiting = passage.waiting.filter(({ call }) => !gone.has(call));
      if (passage.waiting.length === 0) this.release(passage);
    }
    for (const caller of aborted) this.remove(caller).reject(caller.call.signal.reason);
  }

  /** A defect or a failed allocation: every caller is told, and no half-made state is kept. */
  private failAll(thrown: unknown): void {
    for (const caller of [...this.callers]) this.remove(caller).reject(thrown);
    this.passages = [];
    this.passageOf.clear();
    this.cache.clear();
    this.active = 0;
  }

  private remove(caller: Caller): Caller {
    this.callers.splice(this.callers.indexOf(caller), 1);
    this.byCall.delete(caller.call);
    return caller;
  }
}

const isScored = (node: StateNode, call: EvaluationCall): boolean =>
  node.outcome !== undefined && (!call.firstTokenKl || node.firstTokenKl !== undefined);
