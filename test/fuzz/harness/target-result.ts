/** What a run says of one target, and what is wrong with it. */
import type { CaseCounts } from './run-cases.js';

export interface Finding {
  readonly kind: 'defect' | 'hang' | 'crash' | 'out of memory' | 'growth';
  /** Undefined: of no single case. */
  readonly case?: number;
  readonly text: string;
}

export interface TargetResult extends Omit<CaseCounts, 'defects'> {
  readonly target: string;
  readonly reads: string;
  readonly seed: number;
  readonly findings: readonly Finding[];
  /** Of the whole process, at the end. */
  readonly rssBytes: number;
}

/** Caches, compiled code and lazily loaded modules come to less; a leak of a few bytes a case comes to more. */
const MAX_GROWTH_BYTES = 24 << 20;

export const growthOf = ({ warmBytes, endBytes }: Pick<CaseCounts, 'warmBytes' | 'endBytes'>): Finding[] =>
  endBytes - warmBytes <= MAX_GROWTH_BYTES
    ? []
    : [{ kind: 'growth', text: `held memory grew from ${megabytes(warmBytes)} to ${megabytes(endBytes)} MB` }];

export const megabytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
