/** What is stored about an audit besides its spec, results and events: the part that changes while it runs. */

export type AuditStateName = 'running' | 'succeeded' | 'failed' | 'cancelled' | 'interrupted';

export interface FinishedStage {
  readonly stage: string;
  readonly seconds: number;
  readonly evaluations: number;
}

export interface AuditRecord {
  readonly id: string;
  readonly title: string;
  readonly requestId: string;
  readonly specSha256: string;
  readonly state: AuditStateName;
  /** Runs or ran last; empty before the first. */
  readonly stage: string;
  /** ISO 8601, UTC. */
  readonly createdAt: string;
  readonly updatedAt: string;
  /** On failed: the coded text. */
  readonly error: string;
  readonly evaluations: number;
  readonly evaluationsReused: number;
  /** Seconds of work over all processes. */
  readonly seconds: number;
  readonly resumed: number;
  /** The command that started it, if one did. */
  readonly commandLine?: string;
  readonly finishedStages: readonly FinishedStage[];
}

export const isEnded = (state: AuditStateName): boolean => state !== 'running';
