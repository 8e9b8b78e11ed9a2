/** The schema of the report's parts behind claims; report-schema.ts holds it against claim-facts.ts. */
import { z } from 'zod';

const text = z.string();
const number = z.number();
const whole = z.int().nonnegative();
const feature = text.regex(/^\d+\/\d+$/);
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).readonly();
const count = object({ count: whole, of: whole });
const spread = object({ min: whole, median: number, mean: number, max: whole });

const familySet = object({ members: list(feature), score: number });

const family = object({
  promptId: text,
  outcome: z.enum(['found', 'no flip', 'not refused']),
  candidates: whole,
  candidatesPerLayer: whole,
  cleanScore: number,
  allOffScore: number,
  sets: list(familySet),
  sustaining: list(familySet),
  members: list(object({ feature, cosine: number, cleanActivation: number, inSets: whole })),
  necessary: list(feature),
  disjointSets: whole,
  depthOfDefence: whole,
  complete: z.boolean(),
  violations: whole,
  evaluations: whole,
});

const families = object({
  examined: count,
  complete: count,
  depthOfDefence: spread.nullable(),
  disjointSets: spread.nullable(),
  necessary: list(object({ feature, prompts: count })),
  prompts: list(family),
});

const hydraTrace = {
  examined: count,
  depth: whole.nullable(),
  tested: whole,
  wokenByRound: list(number),
  features: list(
    object({
      feature,
      round: whole,
      wokeIn: count,
      activation: number,
      effect: number,
      effectLow: number,
      effectHigh: number,
      context: z.enum(['step', 'closure']),
      intactEffect: number,
      nullEffect: number,
      nullLargest: number,
      qValue: number,
      wakers: list(feature),
      awakeAt: object({ bos: whole, template: whole, content: whole }),
    }),
  ),
};

const hydra = object({
  ...hydraTrace,
  fromStrongest: object({ ...hydraTrace, perPrompt: whole, belowLayer: whole }).optional(),
});

const sufficiencyCounts = object({ leftOn: count, putBack: count, harmlessRefused: count });
const sufficiencyArm = object({
  leftOnScore: number,
  putBackScore: number,
  harmlessRefused: count,
  meanHarmlessScore: number.nullable(),
});

const sufficiency = object({
  examined: count,
  sets: sufficiencyCounts,
  random: sufficiencyCounts,
  prompts: list(
    object({
      promptId: text,
      cleanScore: number,
      allOffScore: number,
      set: sufficiencyArm,
      random: list(sufficiencyArm),
      dormantMembers: list(feature),
    }),
  ),
});

const costs = object({
  examined: count,
  distinctSets: count,
  klBound: number,
  belowBound: count,
  answerTokens: whole,
  cleanCrossEntropy: number.nullable(),
  rows: list(
    object({
      off: z.enum(['minimal set', 'all sets', 'all candidates']),
      members: list(feature),
      promptIds: list(text),
      meanKl: number,
      largestKl: number,
      crossEntropy: number,
      refused: count,
      acted: count,
    }),
  ),
});

const overRefusal = object({
  refused: count,
  features: list(object({ feature, inSets: count, promptIds: list(text), ended: count, stillRefused: count })),
  sets: list(object({ members: list(feature), promptIds: list(text), ended: count, stillRefused: count })),
});

export const claimParts = {
  families: families.optional(),
  hydra: hydra.optional(),
  sufficiency: sufficiency.optional(),
  costs: costs.optional(),
  overRefusal: overRefusal.optional(),
};

export const claimSummary = object({
  familiesComplete: count.nullable(),
  depthOfDefence: spread.nullable(),
  disjointSets: spread.nullable(),
  hydraDepth: whole.nullable(),
  hydraFeatures: whole.nullable(),
  setsPutBackRefuse: count.nullable(),
  writtenIntoHarmless: count.nullable(),
  setsBelowKlBound: count.nullable(),
});

export const claimSettings = object({
  prompts: whole,
  familyEvaluations: whole,
  familySets: whole,
  hydraFeatures: whole,
  hydraRounds: whole,
  hydraNullDraws: whole,
  hydraMinEffect: number,
  hydraLevel: number,
  hydraStrongest: whole.optional(),
  hydraPrompts: whole.optional(),
  sufficiencyDraws: whole,
  harmlessPrompts: whole,
  costSets: whole,
  costAnswerTokens: whole,
});
