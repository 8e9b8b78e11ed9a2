/**
 * What an audit claims, one by one: a statement in plain words, its numbers, and the evaluations that they are. A number is tied to
 * the evaluations of its prompt that have exactly this score. Prevents: a finding that nobody can check without the whole report.
 */
import type { ControlArmFacts, ControlArmName, MinimalSetFacts } from '../report/report-type.js';
import type { StageResults } from '../stages/stage-results.js';
import { type StageClaim, stageClaims } from './stage-claims.js';

/** A score of one prompt with these features off. */
export interface ClaimedScore {
  readonly name: string;
  readonly off: readonly string[];
  readonly score: number;
  /** Of the prompt's evaluations with this score; several where edits change nothing. */
  readonly evaluations: readonly string[];
}

export interface ScoresClaim {
  readonly id: string;
  readonly type: 'scores';
  readonly statement: string;
  readonly promptId: string;
  /** All features that any of the scores may have off. */
  readonly features: readonly string[];
  readonly scores: readonly ClaimedScore[];
}

export interface ControlClaim {
  readonly id: string;
  readonly type: 'control';
  readonly statement: string;
  readonly arm: ControlArmName;
  readonly facts: ControlArmFacts;
}

export type Claim = ScoresClaim | ControlClaim | StageClaim;

export interface ScoredKey {
  readonly scope: string;
  readonly key: string;
  readonly score: number;
}

type FoundKeys = (promptId: string, score: number) => readonly string[];

export const buildClaims = (results: StageResults, evaluations: readonly ScoredKey[]): Claim[] => {
  const keys = indexKeys(evaluations);
  return [
    ...results.filter.sets.flatMap((set) => setClaims(set, keys)),
    ...interactionClaims(results, keys),
    ...controlClaims(results),
    ...familySetClaims(results, keys),
    ...stageClaims(results),
  ];
};

const indexKeys = (evaluations: readonly ScoredKey[]): FoundKeys => {
  const index = new Map<string, string[]>();
  const nameOf = (scope: string, score: number) => JSON.stringify([scope, score]);
  for (const { scope, key, score } of evaluations) {
    const name = nameOf(scope, score);
    index.set(name, [...(index.get(name) ?? []), key]);
  }
  return (promptId, score) => index.get(nameOf(`prompt:${promptId}`, score)) ?? [];
};

const scoreOf =
  (promptId: string, keys: FoundKeys) =>
  (name: string, off: readonly string[], score: number): ClaimedScore => ({
    name,
    off,
    score,
    evaluations: keys(promptId, score),
  });

const setClaims = (set: MinimalSetFacts, keys: FoundKeys): ScoresClaim[] => {
  const { promptId, setScore, cleanScore } = set;
  if (setScore === null) return [];
  const members = set.members.map(({ feature }) => feature);
  const score = scoreOf(promptId, keys);
  const whole: ScoresClaim = {
    id: `minimal-set/${promptId}`,
    type: 'scores',
    statement: `Prompt ${promptId} is refused, and no longer refused with ${members.join(', ')} off.`,
    promptId,
    features: members,
    scores: [score('clean', [], cleanScore), score('set off', members, setScore)],
  };
  return [
    whole,
    ...set.members.map(({ feature, restoredScore }): ScoresClaim => {
      const others = members.filter((member) => member !== feature);
      return {
        id: `restore/${promptId}/${feature.replace('/', '-')}`,
        type: 'scores',
        statement: `With the minimal set of prompt ${promptId} off but for ${feature}, its refusal score is ${restoredScore}.`,
        promptId,
        features: members,
        scores: [score('set off but for this member', others, restoredScore)],
      };
    }),
  ];
};

/** Each further way to break a refusal, checked like the minimal set of the filter. */
const familySetClaims = ({ family }: StageResults, keys: FoundKeys): ScoresClaim[] =>
  (family?.prompts ?? []).flatMap(({ promptId, cleanScore, sets }) =>
    sets.map(({ members, score: setScore }, i): ScoresClaim => {
      const score = scoreOf(promptId, keys);
      return {
        id: `family-set/${promptId}/${i + 1}`,
        type: 'scores',
        statement: `Prompt ${promptId} is no longer refused with ${members.join(', ')} off.`,
        promptId,
        features: members,
        scores: [score('clean', [], cleanScore), score('set off', members, setScore)],
      };
    }),
  );

const interactionClaims = ({ interactions }: StageResults, keys: FoundKeys): ScoresClaim[] =>
  interactions.confirmed.flatMap(({ first, second, prompts }) =>
    prompts.map(({ promptId, neither, firstOff, secondOff, bothOff, interaction }): ScoresClaim => {
      const score = scoreOf(promptId, keys);
      return {
        id: `interaction/${promptId}/${first.replace('/', '-')}/${second.replace('/', '-')}`,
        type: 'scores',
        statement: `On prompt ${promptId}, ${first} and ${second} off together differ by ${interaction} from the sum of each alone.`,
        promptId,
        features: [first, second],
        scores: [
          score('neither off', [], neither),
          score('first off', [first], firstOff),
          score('second off', [second], secondOff),
          score('both off', [first, second], bothOff),
        ],
      };
    }),
  );

const CONTROL_ARMS: readonly ControlArmName[] = [
  'randomFeatures',
  'randomActiveFeatures',
  'randomDirections',
  'directionAblation',
];

const controlClaims = ({ controls }: StageResults): ControlClaim[] =>
  CONTROL_ARMS.flatMap((arm) => {
    const facts = controls[arm];
    if (facts === null) return [];
    const statement = `The control ${arm} flips ${facts.flips.count} of ${facts.flips.of}.`;
    return [{ id: `control/${arm}`, type: 'control' as const, statement, arm, facts }];
  });
