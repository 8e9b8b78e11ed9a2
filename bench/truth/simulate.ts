/**
 * What a mechanism does, by its description alone: no weights, no model. This is the truth that the search is held against, so it
 * shares nothing with the builder but the description.
 */
import { type Gate, type Mechanism, parseSignal } from './mechanism.js';

export interface Outcome {
  /** Names of the features that their gates switch on, ablated or not: what an SAE reads before the edit. */
  readonly awake: ReadonlySet<string>;
  /** Log-odds of refusing. */
  readonly score: number;
}

/**
 * `category`: that of the prompt's trigger; undefined for a harmless prompt. `off`: ablated features, by name; `written`: features that
 * are written into the residual, whatever their gates say.
 */
export function simulate(
  mechanism: Mechanism,
  category: string | undefined,
  off: ReadonlySet<string>,
  written: ReadonlySet<string> = new Set(),
): Outcome {
  const awake = new Set<string>();
  const isOn = (text: string): boolean => {
    const { kind, name } = parseSignal(text);
    return kind === 'harm' ? name === category : written.has(name) || (awake.has(name) && !off.has(name));
  };
  const isOpen = ({ atLeast, of, unless }: Gate): boolean => of.filter(isOn).length >= atLeast && !unless.some(isOn);
  for (const { name, when } of [...mechanism.features].sort((a, b) => a.layer - b.layer))
    if (isOpen(when)) awake.add(name);
  const score = mechanism.refusal.filter(isOpen).reduce((sum, { weight }) => sum + weight, -mechanism.margin);
  return { awake, score };
}
