/** What is told of a fault that was tried. */
export interface FaultResult {
  readonly name: string;
  /** What was done, in one sentence. */
  readonly what: string;
  /** Whether the report equals that of the undisturbed run in all but what docs/report.md declares volatile. */
  readonly report_identical: boolean;
  /** Evaluations that the undisturbed run has in its checkpoint and this one lacks. */
  readonly lost: number;
  /** Evaluations that workers were given more often than in the undisturbed run. */
  readonly redone: number;
  /** From the fault (an outage: from its end) until what was under way then is done; `what` or `also` says if it is something else. */
  readonly recovery_s: number;
  /** What else must hold, and does. */
  readonly also: string;
  /** Greatest difference of two numbers of the reports, relative; 0: equal to the bit. */
  readonly max_difference?: number;
  /** Why it could not be tried here; the numbers then mean nothing. */
  readonly skipped?: string;
}
