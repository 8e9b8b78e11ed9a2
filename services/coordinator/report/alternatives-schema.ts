/** The schema of the report's `alternatives` part; report-schema.ts holds it against alternatives-facts.ts. */
import { z } from 'zod';
import { RANKING_NAMES } from './alternatives-facts.js';

const whole = z.int().nonnegative();
const count = z.strictObject({ count: whole, of: whole }).readonly();
const arm = { flips: count, meanScoreChange: z.number(), didNotAct: whole };
const list = <Item extends z.ZodType>(item: Item) => z.array(item).readonly();
const object = <Shape extends z.ZodRawShape>(shape: Shape) => z.strictObject(shape).readonly();

export const alternativesSchema = object({
  prompts: whole,
  minimalSets: object({
    points: list(object({ features: whole, flips: count })),
    flipsHalfAt: whole.nullable(),
  }),
  rankings: list(
    object({
      ranking: z.enum(RANKING_NAMES),
      first: list(z.string().regex(/^\d+\/\d+$/)),
      points: list(object({ features: whole, ...arm })),
      flipsHalfAt: whole.nullable(),
    }),
  ),
  directionAblation: object(arm).nullable(),
  rankedOn: object({ harmful: whole, harmless: whole }),
  probeAccuracy: count,
});
