/** The handlers of the search service: a wire request in, a stage run on the peers, its events and result out. */
import { SearchServiceDefinition } from '../../proto/gen/refusalscope/v1/search.js';
import { type BoundService, bindService } from '../../shared/rpc/start-server.js';
import { DEFAULT_BUDGET } from './directions/score-directions.js';
import type { AnswerJudge } from './judge/answer-judge.js';
import type { RefusalModel } from './model/model-port.js';
import type { SaeSource } from './model/sae-port.js';
import type { SearchContext } from './model/scoring.js';
import { calibrateOpeners } from './stages/calibrate-openers.js';
import { enumerateMinimalSets } from './stages/enumerate-minimal-sets.js';
import { filterPrompt } from './stages/filter-prompt.js';
import { findDirections } from './stages/find-directions.js';
import { findDormant } from './stages/find-dormant.js';
import { measureCost } from './stages/measure-cost.js';
import { measureInteractions } from './stages/measure-interactions.js';
import { measureRankings } from './stages/measure-rankings.js';
import { profileDepth } from './stages/profile-depth.js';
import { rankCandidates } from './stages/rank-candidates.js';
import { rankFeatures } from './stages/rank-features.js';
import { runControls } from './stages/run-controls.js';
import { sampleMasks } from './stages/sample-masks.js';
import { testSufficiency } from './stages/test-sufficiency.js';
import { traceHydra } from './stages/trace-hydra.js';
import { verifyFlips } from './stages/verify-flips.js';
import * as decodeClaim from './wire/claim-requests.js';
import * as encodeClaim from './wire/claim-results.js';
import { streamStage } from './wire/event-stream.js';
import {
  decodeMeasureRankings,
  decodeRankFeatures,
  encodeFeatureRankings,
  encodeMeasurements,
} from './wire/rankings.js';
import * as decode from './wire/requests.js';
import * as encode from './wire/results.js';
import { decodeDirection, decodeFilterName, encodeFeature, encodeRecord } from './wire/shared-types.js';

export interface SearchPeers {
  readonly model: RefusalModel;
  readonly saes: SaeSource;
  /** Evaluations that the scoring of directions may spend, about. Default DEFAULT_BUDGET. */
  readonly directionBudget?: number;
  /** Of answers under a set. Default: the built-in phrases. */
  readonly judge?: AnswerJudge;
}

type Stage<Request, Result> = (context: SearchContext, request: Request) => Promise<Result>;

/** Streams progress and the result; for stages whose records the contract does not carry. */
async function* runPlain<Request, Result, Out>(
  peers: SearchPeers,
  signal: AbortSignal,
  request: Request,
  stage: Stage<Request, Result>,
  toWire: (result: Result) => Out,
) {
  for await (const event of streamStage(signal, (reporter) => stage({ ...peers, ...reporter }, request))) {
    if (event.kind === 'progress')
      yield { event: { $case: 'progress' as const, value: encode.encodeProgress(event.progress) } };
    if (event.kind === 'result') yield { event: { $case: 'result' as const, value: toWire(event.result) } };
  }
}

/** Streams progress, each new evaluation the moment it is known, and the result. */
async function* runScored<Request, Result, Out>(
  peers: SearchPeers,
  signal: AbortSignal,
  request: Request,
  stage: Stage<Request, Result>,
  toWire: (result: Result) => Out,
) {
  for await (const event of streamStage(signal, (reporter) => stage({ ...peers, ...reporter }, request))) {
    if (event.kind === 'progress')
      yield { event: { $case: 'progress' as const, value: encode.encodeProgress(event.progress) } };
    if (event.kind === 'evaluation')
      yield { event: { $case: 'evaluation' as const, value: encodeRecord(event.record) } };
    if (event.kind === 'result') yield { event: { $case: 'result' as const, value: toWire(event.result) } };
  }
}

export const createSearchService = (peers: SearchPeers): BoundService =>
  bindService(SearchServiceDefinition, {
    calibrateOpeners: (request, { signal }) =>
      runPlain(peers, signal, decode.decodeCalibrate(request), calibrateOpeners, encode.encodeCalibration),
    findDirections: (request, { signal }) => {
      const decoded = { ...decode.decodeFindDirections(request), budget: peers.directionBudget ?? DEFAULT_BUDGET };
      return runScored(peers, signal, decoded, findDirections, encode.encodeDirectionSearch);
    },
    rankCandidates: async ({ directions, countPerLayer }, { signal }) => {
      const ranked = await rankCandidates({ ...peers, signal }, directions.map(decodeDirection), countPerLayer);
      return { candidates: ranked.map(({ cosine, ...feature }) => ({ feature: encodeFeature(feature), cosine })) };
    },
    profileDepth: (request, { signal }) =>
      runScored(peers, signal, decode.decodeProfileDepth(request), profileDepth, encode.encodeDepthProfile),
    filterPrompt: (request, { signal }) =>
      runScored(peers, signal, decode.decodeFilterPrompt(request), filterPrompt, (set) =>
        encode.encodeMinimalSet(set, decodeFilterName(request.method)),
      ),
    findDormant: (request, { signal }) =>
      runScored(peers, signal, decode.decodeFindDormant(request), findDormant, encode.encodeDormantReport),
    sampleMasks: (request, { signal }) =>
      runScored(peers, signal, decode.decodeSampleMasks(request), sampleMasks, encode.encodeMaskScores),
    measureInteractions: (request, { signal }) =>
      runScored(
        peers,
        signal,
        decode.decodeMeasureInteractions(request),
        measureInteractions,
        encode.encodeInteractions,
      ),
    verifyFlips: (request, { signal }) =>
      runPlain(peers, signal, decode.decodeVerifyFlips(request), verifyFlips, encode.encodeVerification),
    runControls: (request, { signal }) =>
      runScored(peers, signal, decode.decodeRunControls(request), runControls, encode.encodeControls),
    enumerateMinimalSets: (request, { signal }) =>
      runScored(peers, signal, decodeClaim.decodeEnumerate(request), enumerateMinimalSets, encodeClaim.encodeFamily),
    traceHydra: (request, { signal }) =>
      runScored(peers, signal, decodeClaim.decodeTraceHydra(request), traceHydra, encodeClaim.encodeHydra),
    testSufficiency: (request, { signal }) =>
      runScored(peers, signal, decodeClaim.decodeSufficiency(request), testSufficiency, encodeClaim.encodeSufficiency),
    measureCost: (request, { signal }) =>
      runScored(peers, signal, decodeClaim.decodeMeasureCost(request), measureCost, encodeClaim.encodeCosts),
    rankFeatures: (request, { signal }) =>
      runPlain(peers, signal, decodeRankFeatures(request), rankFeatures, encodeFeatureRankings),
    measureRankings: (request, { signal }) =>
      runScored(peers, signal, decodeMeasureRankings(request), measureRankings, encodeMeasurements),
  });
