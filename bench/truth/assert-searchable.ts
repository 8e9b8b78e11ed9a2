/** Whether there is anything to search in a mechanism that can be wired: a refusal on harmful prompts alone, and a way to break it. */
import { fault } from '../../shared/errors/fault.js';
import type { Mechanism } from './mechanism.js';
import { simulate } from './simulate.js';
import { truthOf } from './truth.js';

/** `from` names the source in errors. Throws CONFIG_INVALID with every problem. */
export function assertSearchable(mechanism: Mechanism, from: string): void {
  const none: ReadonlySet<string> = new Set();
  const harmless = simulate(mechanism, undefined, none).score;
  const problems = harmless < 0 ? [] : [`harmless prompts are refused: their log-odds are ${harmless}, not below 0`];
  for (const category of mechanism.categories) {
    const clean = simulate(mechanism, category, none).score;
    if (clean <= 0) problems.push(`${category} is not refused: its log-odds are ${clean}, not above 0`);
    else if (truthOf(mechanism, category).minimalSets.length === 0)
      problems.push(`${category} is refused whichever features are off: there is no set to find`);
  }
  if (problems.length > 0)
    throw fault('CONFIG_INVALID', `${from} leaves nothing to search:\n  ${problems.join('\n  ')}`);
}
