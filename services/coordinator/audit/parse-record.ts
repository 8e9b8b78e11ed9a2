/** state.json of an audit back from its text. Prevents: one damaged record that makes the list of all audits fail. */
import { z } from 'zod';
import { fault } from '../../../shared/errors/fault.js';
import type { AuditRecord } from './audit-record.js';

const text = z.string();
const amount = z.number().nonnegative();

// Loose: a later release may have added what this one passes on.
const recordSchema = z.looseObject({
  id: text,
  title: text,
  requestId: text,
  specSha256: text,
  state: z.enum(['running', 'succeeded', 'failed', 'cancelled', 'interrupted']),
  stage: text,
  createdAt: z.iso.datetime(),
  updatedAt: z.iso.datetime(),
  error: text,
  evaluations: amount,
  evaluationsReused: amount,
  seconds: amount,
  resumed: amount,
  commandLine: text.optional(),
  finishedStages: z.array(z.looseObject({ stage: text, seconds: amount, evaluations: amount })),
});

/** `where` names the file or key. Throws CHECKPOINT_CORRUPT. */
export const parseRecord = (value: unknown, where: string): AuditRecord => {
  const parsed = recordSchema.safeParse(value);
  if (parsed.success) return parsed.data as AuditRecord;
  const { path, message } = parsed.error.issues[0]!;
  throw fault(
    'CHECKPOINT_CORRUPT',
    `${where} is no record of an audit (${path.join('.') || 'the whole'}: ${message}). Remove the audit's folder, and create it again.`,
  );
};
