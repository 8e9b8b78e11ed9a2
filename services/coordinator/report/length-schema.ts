/** The schema of agreement by length, in the report's openers and verification; report-schema.ts holds it against the type. */
import { z } from 'zod';

const whole = z.int().nonnegative();
const count = z.strictObject({ count: whole, of: whole }).readonly();

export const byLengthSchema = z
  .array(
    z
      .strictObject({
        tokens: whole,
        complied: whole,
        partial: whole,
        refused: whole,
        degenerate: whole,
        judgeFailed: whole,
        ended: whole,
        agreement: count,
        delayedRefusals: count,
        withdrawnRefusals: count,
      })
      .readonly(),
  )
  .readonly();
