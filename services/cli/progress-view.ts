/** An audit's events as people see them: one live line with stage, counts, rate and time left on a terminal; plain lines elsewhere. */
import type { AuditEvent } from '../../proto/gen/refusalscope/v1/coordinator.js';
import type { Progress } from '../../proto/gen/refusalscope/v1/types.js';
import type { Output } from './console-output.js';

// A log file needs a sign of life, not every step.
const PLAIN_INTERVAL_MS = 15_000;

export class ProgressView {
  private heading = '';
  private stageStartedAt = 0;
  /** Where the part that is now counted began: its total, its first count, and when. */
  private part = { total: -1, done: 0, at: 0 };
  private saidAt = 0;

  constructor(
    private readonly output: Output,
    private readonly now: () => number = () => performance.now(),
  ) {}

  show({ event }: AuditEvent): void {
    switch (event?.$case) {
      case 'stageStarted': {
        const { stage, number, stages } = event.value;
        this.heading = `[${number}/${stages}] ${stage}`;
        this.stageStartedAt = this.now();
        this.saidAt = this.now();
        this.part = { total: -1, done: 0, at: 0 };
        this.output.status(this.heading);
        break;
      }
      case 'progress':
        this.showProgress(event.value);
        break;
      case 'stageFinished': {
        const { seconds, evaluations, summary } = event.value;
        const count = evaluations > 0 ? `, ${evaluations} evaluations` : '';
        this.output.note(`${this.heading}: ${summary} (${formatSeconds(seconds)}${count})`);
        break;
      }
      case 'warning':
        this.output.note(`warning: ${event.value.text}`);
        break;
      default:
        break;
    }
  }

  private showProgress(progress: Progress): void {
    // A stage may count several things in turn, and work that came from a checkpoint took no time: neither may bend the time left.
    if (progress.total !== this.part.total || progress.done < this.part.done) {
      this.part = { total: progress.total, done: progress.done, at: this.now() };
    }
    const line = `${this.heading}  ${this.describe(progress)}`;
    if (this.output.isTerminal) this.output.status(line);
    else if (this.now() - this.saidAt >= PLAIN_INTERVAL_MS) {
      this.saidAt = this.now();
      this.output.note(line);
    }
  }

  private describe({ done, total, evaluations, evaluationsReused, detail }: Progress): string {
    const seconds = (this.now() - this.stageStartedAt) / 1000;
    const parts = [total > 0 ? `${done}/${total}${detail === '' ? '' : ` ${detail}`}` : `${done} ${detail}`.trim()];
    if (evaluations > 0) {
      parts.push(`${evaluations} evaluations${evaluationsReused > 0 ? ` (${evaluationsReused} reused)` : ''}`);
      if (seconds > 1) parts.push(`${(evaluations / seconds).toFixed(1)}/s`);
    }
    const steps = done - this.part.done;
    if (total > done && steps > 0) {
      const each = (this.now() - this.part.at) / 1000 / steps;
      parts.push(`about ${formatSeconds((total - done) * each)} left`);
    }
    return parts.join('  ');
  }
}

/** "4.2 s", "1:05 min", "2:03:00 h". */
export const formatSeconds = (seconds: number): string => {
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)}:${two(whole % 60)} min`;
  return `${Math.floor(whole / 3600)}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)} h`;
};
