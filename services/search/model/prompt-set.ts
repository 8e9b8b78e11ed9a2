/** Checks that every stage makes of a labelled prompt set: both labels present, no id twice. */
import { fault } from '../../../shared/errors/fault.js';
import type { Prompt } from './model-port.js';

export interface LabelledPrompt {
  readonly prompt: Prompt;
  readonly label: 'harmful' | 'harmless';
}

/** @throws REQUEST_INVALID for an empty set, a single label, or an id that two prompts share. */
export function assertPromptSet(prompts: readonly LabelledPrompt[], perLabel: number): void {
  const harmful = prompts.filter(({ label }) => label === 'harmful').length;
  const harmless = prompts.length - harmful;
  if (harmful < perLabel || harmless < perLabel)
    throw fault(
      'REQUEST_INVALID',
      `The prompt set has ${harmful} harmful and ${harmless} harmless prompts; at least ${perLabel} of each are needed.`,
    );
  const ids = new Set<string>();
  for (const { prompt } of prompts) {
    if (ids.has(prompt.id)) throw fault('REQUEST_INVALID', `Two prompts have the id ${prompt.id}; ids must differ.`);
    ids.add(prompt.id);
  }
}
