/** report.json back from its text, held against the schema. Prevents: a damaged or foreign file that fails deep inside a page. */
import { fault } from '../../../shared/errors/fault.js';
import { reportSchema } from './report-schema.js';
import type { Report } from './report-type.js';

/** Throws CHECKPOINT_CORRUPT, naming the first place that is wrong. */
export const parseReport = (text: string): Report => {
  const parsed = reportSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw unreadable(`${path.join('.') || 'the whole'}: ${message}`);
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable('it is not JSON');
  }
};

const unreadable = (why: string) =>
  fault(
    'CHECKPOINT_CORRUPT',
    `The report cannot be read: ${why.slice(0, 300)}. It was damaged or is of another release; resume the audit to have it written again.`,
  );
