/** Rankings of features and what they flip, between the wire's form and the domain's. */
import type * as wire from '../../../proto/gen/refusalscope/v1/search.js';
import { decodePositions } from '../../../shared/tensors/positions.js';
import type { MeasureRankingsRequest, RankingMeasurements, RankingPoint } from '../stages/measure-rankings.js';
import type { FeatureRankings, RankFeaturesRequest, ValuedFeature } from '../stages/rank-features.js';
import {
  decodeDirection,
  decodeFeature,
  decodeLabelledPrompt,
  decodePrompt,
  decodeRecord,
  decodeScore,
} from './shared-types.js';

export const decodeRankFeatures = (request: wire.RankFeaturesRequest): RankFeaturesRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodeLabelledPrompt),
  directions: request.directions.map(decodeDirection),
  positions: decodePositions(request.positions),
  count: request.count,
});

export const decodeMeasureRankings = (request: wire.MeasureRankingsRequest): MeasureRankingsRequest => ({
  model: request.model,
  prompts: request.prompts.map(decodePrompt),
  score: decodeScore(request.score),
  positions: decodePositions(request.positions),
  rankings: request.rankings.map(({ name, features }) => ({ name, features: features.map(decodeFeature) })),
  counts: request.counts,
  randomLayers: request.randomLayers,
  seed: request.seed,
  direction: request.direction && decodeDirection(request.direction),
  known: request.known.map(decodeRecord),
});

const encodeValued = ({ layer, index, value }: ValuedFeature): wire.RankedFeature => ({
  feature: { layer, index },
  value,
});

export const encodeFeatureRankings = (rankings: FeatureRankings): wire.FeatureRankings => ({
  cosine: rankings.cosine.map(encodeValued),
  activationDifference: rankings.activationDifference.map(encodeValued),
  probeWeight: rankings.probeWeight.map(encodeValued),
  probeRight: rankings.probe.right,
  probeTotal: rankings.probe.total,
});

const encodePoint = ({ features, arm }: RankingPoint): wire.RankingPoint => ({ features, arm: { ...arm } });

export const encodeMeasurements = (measured: RankingMeasurements): wire.RankingMeasurements => ({
  rankings: measured.rankings.map(({ name, points }) => ({ name, points: points.map(encodePoint) })),
  randomActive: measured.randomActive.map(encodePoint),
  directionAblation: measured.directionAblation && { ...measured.directionAblation },
});
