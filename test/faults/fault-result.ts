/** What is told of a fault that was tried. */
export interface FaultResult {
  readonly name: string;
  /** What was done, in one sentence. */
  readonly what: string;
  /** Whether the numbers are those of the undisturbed run, to the bit. */
  readonly report_identical: boolean;
  /** Evaluations that were asked for and never answered. */
  readonly lost: number;
  /** Evaluations that were begun more than once. */
  readonly redone: number;
  /** From the fault (an outage: from its end) until all that was under way then is answered. */
  readonly recovery_s: number;
  /** What else must hold, and does. */
  readonly also: string;
}
