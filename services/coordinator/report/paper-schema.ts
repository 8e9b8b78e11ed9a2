/** The schema of the report's `paper` part; report-schema.ts holds it against paper-facts.ts. */
import { z } from 'zod';

const number = z.number();
const whole = z.int().nonnegative();
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).readonly();
const count = object({ count: whole, of: whole });

const stageThree = object({
  rows: whole,
  testRows: whole,
  fmAccuracy: number.nullable(),
  linearAccuracy: number.nullable(),
  topFeatures: list(z.string().regex(/^\d+\/\d+$/)),
  ablations: list(object({ features: whole, fmFlips: count, linearFlips: count })),
  deactivation: object({
    features: whole,
    prompts: whole,
    silenced: count,
    largestShare: number,
    meanDrop: number,
  }).nullable(),
  crossEntropy: list(
    object({
      text: z.enum(['harmless prompts', 'plain text']),
      texts: whole,
      tokens: whole,
      clean: number,
      ablated: list(object({ features: whole, natsPerToken: number })),
    }),
  ),
});

export const paperSchema = object({
  settings: object({
    blockSize: whole,
    seeds: whole,
    threshold: number,
    fmRank: whole,
    fmLearningRate: number,
    fmEpochs: whole,
  }),
  jailbreaks: object({ allOff: count, setByScore: count, setByText: count }),
  sweep: list(object({ threshold: number, flips: count, distinctFeatures: whole, meanSize: number.nullable() })),
  features: object({ candidates: whole, inSets: whole, dormantYetNeeded: whole }),
  wakeUps: object({ bos: whole, template: whole, content: whole }),
  stageThree: stageThree.nullable(),
});
