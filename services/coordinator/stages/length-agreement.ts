/** Agreement of score and text by length, from the peers' messages, and of several prompts as one. */
import type { LengthAgreement } from '../../../proto/gen/refusalscope/v1/search.js';
import type { Count, LengthAgreementFacts } from '../report/report-type.js';

export const decodeLengths = (lengths: readonly LengthAgreement[]): LengthAgreementFacts[] =>
  lengths.map((length) => ({
    tokens: length.tokens,
    complied: length.complied,
    partial: length.partial,
    refused: length.refused,
    degenerate: length.degenerate,
    judgeFailed: length.judgeFailed,
    ended: length.ended,
    agreement: { count: length.agree, of: length.agreeTotal },
    delayedRefusals: { count: length.delayedRefusals, of: length.compliedBefore },
    withdrawnRefusals: { count: length.withdrawnRefusals, of: length.refusedBefore },
  }));

/** Both of the same lengths, or one of none. */
export const addLengths = (
  a: readonly LengthAgreementFacts[],
  b: readonly LengthAgreementFacts[],
): readonly LengthAgreementFacts[] => {
  if (a.length === 0) return b;
  return a.map((one, i) => {
    const other = b[i];
    return other === undefined ? one : addLength(one, other);
  });
};

const addLength = (a: LengthAgreementFacts, b: LengthAgreementFacts): LengthAgreementFacts => ({
  tokens: a.tokens,
  ...addVerdicts(a, b),
  ended: a.ended + b.ended,
  agreement: addCounts(a.agreement, b.agreement),
  delayedRefusals: addCounts(a.delayedRefusals, b.delayedRefusals),
  withdrawnRefusals: addCounts(a.withdrawnRefusals, b.withdrawnRefusals),
});

type VerdictCounts = Pick<LengthAgreementFacts, 'complied' | 'partial' | 'refused' | 'degenerate' | 'judgeFailed'>;

export const addVerdicts = (a: VerdictCounts, b: VerdictCounts): VerdictCounts => ({
  complied: a.complied + b.complied,
  partial: a.partial + b.partial,
  refused: a.refused + b.refused,
  degenerate: a.degenerate + b.degenerate,
  judgeFailed: a.judgeFailed + b.judgeFailed,
});

export const addCounts = (a: Count, b: Count): Count => ({ count: a.count + b.count, of: a.of + b.of });
