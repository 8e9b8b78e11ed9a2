/**
 * Computes one claim of a manifest again, from the audit's stored spec and with nothing known. Prevents: a claim that rests on stored
 * numbers alone, and one that is checked on other model files than it was made with.
 */
import { EvaluationRecord, type MaskScores } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import { encodeMaskIndices } from '../../../shared/tensors/mask-bits.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { EvaluationMemory } from '../audit/evaluation-memory.js';
import { assertSameModel, quietContext } from '../audit/run-audit.js';
import type { StageEnvironment, StageOutcome } from '../audit/run-stage.js';
import { type CallScope, drainCall } from '../peers/drain-call.js';
import type { Peers } from '../peers/open-peers.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import { controlsStage } from '../stages/controls.js';
import { admitAgain } from '../stages/saes.js';
import type { StageContext } from '../stages/stage.js';
import type { StageResults } from '../stages/stage-results.js';
import { stagesOf } from '../stages/stages.js';
import type { AuditStore } from '../store/audit-store.js';
import { readStages } from './build-manifest.js';
import type { Claim, ControlClaim, ScoresClaim } from './claims.js';
import { readManifest } from './manifest-lines.js';
import { type StageClaim, stageClaims } from './stage-claims.js';
import { readManifestText } from './verify-manifest.js';

/** Twenty times what was seen between batches of different size in float32 (docs/report.md); flips are decided far above it. */
export const REPLAY_TOLERANCE = 1e-3;

export interface ReplayedNumber {
  readonly name: string;
  readonly stored: number;
  readonly recomputed: number;
  /** Whether it is the evaluation that the claim names, by its key; undefined where it names none. */
  readonly sameEvaluation: boolean | undefined;
  readonly agrees: boolean;
}

export interface Replay {
  readonly claim: Claim;
  readonly numbers: readonly ReplayedNumber[];
  readonly holds: boolean;
}

/** Throws REQUEST_INVALID for a claim that the manifest lacks. */
export const findClaim = async (store: AuditStore, auditId: string, claimId: string): Promise<Claim> => {
  const claims = await listClaims(store, auditId);
  const found = claims.find(({ id }) => id === claimId);
  if (found !== undefined) return found;
  throw fault(
    'REQUEST_INVALID',
    `Audit ${auditId} has no claim ${JSON.stringify(claimId)}; replay without --claim lists them.`,
  );
};

export const listClaims = async (store: AuditStore, auditId: string): Promise<Claim[]> =>
  readManifest(await readManifestText(store, auditId)).entries.flatMap(({ entry }) =>
    entry.kind === 'claim' ? [entry] : [],
  );

export interface ReplayOptions {
  readonly store: AuditStore;
  readonly auditId: string;
  readonly peers: Peers;
  readonly signal: AbortSignal;
}

/** Throws AUDIT_STATE if other model files are served than the audit was made with. */
export const replayClaim = async (options: ReplayOptions, claim: Claim): Promise<Replay> => {
  const { store, auditId, peers, signal } = options;
  const spec = await store.readSpec(auditId);
  const { results } = await readStages(store, auditId);
  const memory = await EvaluationMemory.load(store, auditId);
  const environment: StageEnvironment = {
    auditId,
    spec,
    store,
    peers,
    memory,
    signal,
    concurrency: 1,
    emit: () => undefined,
  };
  const described = await store.readResult(auditId, 'describe');
  await assertSameModel(environment, described as StageOutcome<'describe'>);
  const context = freshContext(quietContext(environment));
  await admitAgain(context, results.describe);
  const numbers = await replayNumbers(context, results, claim);
  return { claim, numbers, holds: numbers.every(({ agrees }) => agrees) };
};

const replayNumbers = (context: StageContext, results: StageResults, claim: Claim): Promise<ReplayedNumber[]> => {
  if (claim.type === 'scores') return replayScores(context, results, claim);
  return claim.type === 'control' ? replayControl(context, results, claim) : replayStage(context, results, claim);
};

/** Calls that know no evaluation and keep none. */
const freshContext = (quiet: StageContext): StageContext => {
  const call = (): CallScope => freshCall(quiet.signal, () => undefined);
  return {
    ...quiet,
    call,
    forEachPrompt: async (prompts, task) => {
      const done = [];
      for (const prompt of prompts) done.push(await task(prompt, call()));
      return done;
    },
  };
};

const freshCall = (signal: AbortSignal, onEvaluation: CallScope['onEvaluation']): CallScope => ({
  signal,
  known: () => [],
  onEvaluation,
  onProgress: () => undefined,
});

const replayScores = async (
  { spec, peers, signal }: StageContext,
  results: StageResults,
  { promptId, features, scores }: ScoresClaim,
): Promise<ReplayedNumber[]> => {
  const prompt = spec.prompts.find(({ id }) => id === promptId);
  if (prompt === undefined) throw fault('CHECKPOINT_CORRUPT', `spec.json has no prompt ${JSON.stringify(promptId)}.`);
  const seen = new Map<string, number>();
  const call = freshCall(signal, (key, record) => void seen.set(key, EvaluationRecord.decode(record).refusalScore));
  const masks = scores.map(({ off }) => ({
    bits: encodeMaskIndices(
      off.map((feature) => features.indexOf(feature)),
      features.length,
    ),
  }));
  const request = {
    model: spec.model,
    score: encodeScore(results.openers.score),
    positions: encodePositions(spec.positions),
    prompts: [encodePrompt(prompt)],
    features: encodeFeatures(features),
    masks,
  };
  const { refusalScores } = await drainCall<MaskScores>(call, (known, options) =>
    peers.search.sampleMasks({ ...request, known }, options),
  );
  return scores.map(({ name, score, evaluations }, i) => {
    const recomputed = refusalScores[i] ?? Number.NaN;
    const sameEvaluation =
      evaluations.length === 0 ? undefined : evaluations.some((key) => seen.get(key) === recomputed);
    const agrees = isClose(score, recomputed) && score < 0 === recomputed < 0 && sameEvaluation !== false;
    return { name, stored: score, recomputed, sameEvaluation, agrees };
  });
};

/** Draws come from the spec's seed, so the whole stage gives the same arms. */
const replayControl = async (
  context: StageContext,
  results: StageResults,
  { arm, facts }: ControlClaim,
): Promise<ReplayedNumber[]> => {
  const again = (await controlsStage.run(context, results))[arm];
  const number = (name: string, stored: number, recomputed = Number.NaN): ReplayedNumber => {
    const agrees = isClose(stored, recomputed);
    return { name, stored, recomputed, sameEvaluation: undefined, agrees };
  };
  return [
    number('flips', facts.flips.count, again?.flips.count),
    number('of', facts.flips.of, again?.flips.of),
    number('mean score change', facts.meanScoreChange, again?.meanScoreChange),
  ];
};

/** The stage again; on one prompt, it sees that prompt's set alone. A claim that it no longer makes holds nothing. */
const replayStage = async (
  context: StageContext,
  results: StageResults,
  { id, stage, promptId, numbers }: StageClaim,
): Promise<ReplayedNumber[]> => {
  const sets = results.filter.sets.filter((set) => promptId === '' || set.promptId === promptId);
  const found = stagesOf(context.spec).find(({ name }) => name === stage);
  if (found === undefined) throw fault('CHECKPOINT_CORRUPT', `spec.json leaves out the stage "${stage}".`);
  const again = await found.run(context, { ...results, filter: { sets } });
  const own = stageClaims({ ...results, [stage]: again }).find((claim) => claim.id === id);
  return numbers.map(({ name, value }) => {
    const recomputed = own?.numbers.find((number) => number.name === name)?.value ?? Number.NaN;
    return { name, stored: value, recomputed, sameEvaluation: undefined, agrees: isClose(value, recomputed) };
  });
};

/** NaN is close to nothing. */
const isClose = (a: number, b: number): boolean => Math.abs(a - b) <= REPLAY_TOLERANCE;
