/**
 * Claims that are a stage's own result: how deep a refusal goes, which features wake, what a set does alone and what it costs. Such a claim
 * is replayed by running its stage again, on its one prompt where it has one.
 */
import { type MadeTrace, tracesOf } from '../report/hydra-traces.js';
import type { HydraFeatureFacts } from '../report/report-type.js';
import type { StageResults } from '../stages/stage-results.js';

export type ClaimedStage = 'family' | 'hydra' | 'sufficiency' | 'cost' | 'over-refusal';

export interface StageClaim {
  readonly id: string;
  readonly type: 'stage';
  readonly statement: string;
  readonly stage: ClaimedStage;
  /** The stage looks at this prompt's set alone; empty: at all. */
  readonly promptId: string;
  readonly numbers: readonly { readonly name: string; readonly value: number }[];
}

export const stageClaims = (results: StageResults): StageClaim[] => [
  ...familyClaims(results),
  ...hydraClaims(results),
  ...sufficiencyClaims(results),
  ...costClaims(results),
  ...overRefusalClaims(results),
];

const familyClaims = ({ family }: StageResults): StageClaim[] =>
  (family?.prompts ?? []).map(({ promptId, candidates, ...found }) => {
    const { sets, necessary, disjointSets, depthOfDefence, complete, violations } = found;
    const bound = complete && violations === 0 ? 'exactly' : 'at least';
    return {
      id: `family/${promptId}`,
      type: 'stage',
      statement:
        `Among ${candidates} candidates, minimal sets of prompt ${promptId}: ${bound} ${sets.length}; of these without a common ` +
        `member: ${bound} ${disjointSets}; depth of defence: ${bound} ${depthOfDefence}.`,
      stage: 'family',
      promptId,
      numbers: [
        { name: 'minimal sets', value: sets.length },
        { name: 'necessary features', value: necessary.length },
        { name: 'disjoint sets', value: disjointSets },
        { name: 'depth of defence', value: depthOfDefence },
        { name: 'complete', value: complete ? 1 : 0 },
      ],
    };
  });

const hydraClaims = ({ hydra }: StageResults): StageClaim[] => {
  if (hydra === undefined) return [];
  return tracesOf(hydra).flatMap(traceClaims);
};

/** The id of a trace, and what is off first. */
const STARTS = {
  'minimal sets': { id: 'hydra', off: 'minimal sets' },
  'strongest features': { id: 'hydra-strongest', off: 'the strongest early features' },
} as const;

const traceClaims = ({ from, depth, features, tested, examined }: MadeTrace): StageClaim[] => {
  const { id, off } = STARTS[from];
  const whole: StageClaim = {
    id,
    type: 'stage',
    statement: `Of ${tested} features that woke in two or more of ${examined.count} prompts, ${features.length} hold up refusal once ${off} are off, in ${depth} rounds.`,
    stage: 'hydra',
    promptId: '',
    numbers: [
      { name: 'rounds', value: depth },
      { name: 'features', value: features.length },
      { name: 'tested', value: tested },
    ],
  };
  return [whole, ...features.map((feature) => hydraFeatureClaim(id, feature))];
};

const hydraFeatureClaim = (
  trace: string,
  { feature, round, wokeIn, effect, effectLow, effectHigh, qValue }: HydraFeatureFacts,
) => ({
  id: `${trace}/${feature.replace('/', '-')}`,
  type: 'stage' as const,
  statement: `${feature} wakes in ${wokeIn.count} of ${wokeIn.of} prompts in round ${round}; its loss then changes the score by ${effect} more than under null sets (95 % interval ${effectLow} to ${effectHigh}).`,
  stage: 'hydra' as const,
  promptId: '',
  numbers: [
    { name: 'round', value: round },
    { name: 'prompts', value: wokeIn.count },
    { name: 'effect', value: effect },
    { name: 'interval, low', value: effectLow },
    { name: 'interval, high', value: effectHigh },
    { name: 'q', value: qValue },
  ],
});

const sufficiencyClaims = ({ sufficiency }: StageResults): StageClaim[] =>
  (sufficiency?.prompts ?? []).map(({ promptId, allOffScore, set }) => ({
    id: `sufficiency/${promptId}`,
    type: 'stage',
    statement: `With all candidates of prompt ${promptId} off its refusal score is ${allOffScore}; ${set.leftOnScore} with its minimal set left on, ${set.putBackScore} with it put back.`,
    stage: 'sufficiency',
    promptId,
    numbers: [
      { name: 'all off', value: allOffScore },
      { name: 'set left on', value: set.leftOnScore },
      { name: 'set put back', value: set.putBackScore },
      { name: 'harmless prompts refused', value: set.harmlessRefused.count },
      { name: 'harmless prompts', value: set.harmlessRefused.of },
    ],
  }));

/** The minimal sets alone: what stands beside them as a scale depends on which sets there are. */
const costClaims = ({ cost }: StageResults): StageClaim[] =>
  (cost?.rows ?? []).flatMap(({ off, members, promptIds, meanKl, largestKl, crossEntropy, refused }) => {
    const [promptId] = promptIds;
    if (off !== 'minimal set' || promptId === undefined) return [];
    return [
      {
        id: `cost/${promptId}`,
        type: 'stage' as const,
        statement: `${members.join(', ')} off changes the first token of ${refused.of} harmless answers by ${meanKl} nats on average (KL); the clean answers cost ${crossEntropy} nats a token then.`,
        stage: 'cost' as const,
        promptId,
        numbers: [
          { name: 'mean KL', value: meanKl },
          { name: 'largest KL', value: largestKl },
          { name: 'cross-entropy', value: crossEntropy },
          { name: 'refused', value: refused.count },
        ],
      },
    ];
  });

const overRefusalClaims = ({ 'over-refusal': found }: StageResults): StageClaim[] =>
  (found?.features ?? []).map(({ feature, ended, stillRefused }) => ({
    id: `over-refusal/${feature.replace('/', '-')}`,
    type: 'stage',
    statement: `With ${feature} alone off, ${ended.count} of ${ended.of} false refusals end, and ${stillRefused.count} of ${stillRefused.of} harmful prompts are still refused.`,
    stage: 'over-refusal',
    promptId: '',
    numbers: [
      { name: 'false refusals ended', value: ended.count },
      { name: 'false refusals', value: ended.of },
      { name: 'still refused', value: stillRefused.count },
      { name: 'harmful prompts', value: stillRefused.of },
    ],
  }));
