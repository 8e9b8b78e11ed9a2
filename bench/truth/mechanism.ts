/**
 * A mechanism of refusal, as a JSON file describes it: which features there are, what switches each on, and what refuses. docs/truth.md
 * explains every field. Checked in full before anything is built: a mechanism that cannot be wired must not become a wrong truth.
 */
import { readFileSync } from 'node:fs';
import { z } from '../../shared/config/load-config.js';
import { fault } from '../../shared/errors/fault.js';

const name = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, 'must be 1 to 32 of a-z, 0-9 and "-", a letter first');
/** A feature, "harm:CATEGORY", or "bos:FEATURE": that feature at BOS, carried to the reader's own position. */
const signal = z.string().regex(/^((harm|bos):)?[a-z][a-z0-9-]{0,31}$/, 'must be NAME, harm:CATEGORY or bos:NAME');

const Gate = z.strictObject({
  /** Open once so many of `of` are on, and none of `unless` is. 0: always, but for `unless`. */
  atLeast: z.number().int().min(0).max(16),
  of: z.array(signal).max(16),
  unless: z.array(signal).max(16).default([]),
});

const Feature = z.strictObject({
  name,
  /** The block that writes it: its SAE has it. Block 0 only carries the trigger, the last one only refuses. */
  layer: z.number().int().min(1).max(14),
  when: Gate,
  /** Where it can be on. "template": after the instruction, in the chat template. */
  at: z.enum(['anywhere', 'template', 'bos']).default('anywhere'),
});

const Mechanism = z.strictObject({
  name,
  about: z.string().max(400),
  layers: z.number().int().min(4).max(16),
  categories: z.array(name).min(1).max(4),
  features: z.array(Feature).min(1).max(16),
  /** Each open gate adds `weight` to the log-odds of refusing. */
  refusal: z
    .array(Gate.extend({ weight: z.number().min(-40).max(40) }))
    .min(1)
    .max(16),
  /** Log-odds of complying while no gate is open. */
  margin: z.number().min(1).max(20).default(6),
  /** Decoys a layer, and how many of them have a decoder row near the direction. */
  decoys: z
    .strictObject({ perLayer: z.number().int().min(0).max(4096), near: z.number().int().min(0).max(256) })
    .default({ perLayer: 280, near: 16 }),
  /** Amplitude of a feature over the standard deviation of the noise on it; absent: no noise. */
  snr: z.number().min(1).max(1000).optional(),
  /** Which positions are edited: from the instruction on, or all, BOS included. */
  positions: z.enum(['instruction', 'all']).default('instruction'),
});

export type Gate = z.infer<typeof Gate>;
export type PlantedFeature = z.infer<typeof Feature>;
export type Mechanism = z.infer<typeof Mechanism>;

/** Throws FILE_NOT_FOUND, CONFIG_INVALID. */
export function loadMechanism(path: string): Mechanism {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
  try {
    return parseMechanism(JSON.parse(text), path);
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    throw fault('CONFIG_INVALID', `${path} is not JSON: ${cause.message}`, { cause });
  }
}

/** `from` names the source in errors. Throws CONFIG_INVALID with every problem. */
export function parseMechanism(value: unknown, from: string): Mechanism {
  const parsed = Mechanism.safeParse(value);
  const problems = parsed.success
    ? wiringProblems(parsed.data)
    : parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the mechanism'}: ${message}`);
  if (parsed.success && problems.length === 0) return parsed.data;
  throw fault('CONFIG_INVALID', `${from} describes no mechanism that can be planted:\n  ${problems.join('\n  ')}`);
}

function wiringProblems(mechanism: Mechanism): string[] {
  const { features, categories, layers, positions } = mechanism;
  const byName = new Map(features.map((feature) => [feature.name, feature]));
  const problems: string[] = [];
  if (byName.size < features.length) problems.push('features: two have the same name');
  for (const feature of features) {
    if (feature.layer > layers - 2)
      problems.push(`${feature.name}: layer is ${feature.layer}; with ${layers} layers it may be 1 to ${layers - 2}`);
    problems.push(...gateProblems(feature.name, feature.when, feature.layer, feature.at === 'bos'));
    if (feature.at === 'bos' && positions !== 'all')
      problems.push(`${feature.name}: it is at BOS, so positions must be "all" for an edit to reach it`);
  }
  for (const [i, gate] of mechanism.refusal.entries())
    problems.push(...gateProblems(`refusal ${i}`, gate, layers - 1, false));
  return problems;

  function gateProblems(owner: string, gate: Gate, layer: number, atBos: boolean): string[] {
    const found = gate.atLeast > gate.of.length ? [`${owner}: atLeast is ${gate.atLeast} of ${gate.of.length}`] : [];
    for (const text of [...gate.of, ...gate.unless]) {
      const { kind, name } = parseSignal(text);
      const feature = byName.get(name);
      if (kind === 'harm') {
        if (!categories.includes(name)) found.push(`${owner}: ${text} names no category`);
        if (atBos) found.push(`${owner}: BOS stands before the prompt, so it cannot read ${text}`);
      } else if (feature === undefined) found.push(`${owner}: there is no feature ${name}`);
      else if (feature.layer >= layer)
        found.push(`${owner}: reads ${name} of layer ${feature.layer}, not an earlier one`);
      else if ((feature.at === 'bos') !== (kind === 'bos' || atBos))
        found.push(
          `${owner}: ${name} is ${feature.at === 'bos' ? '' : 'not '}at BOS; "bos:" reads from there, and only that`,
        );
      else if (kind === 'bos' && atBos) found.push(`${owner}: stands at BOS itself; read ${name} without "bos:"`);
    }
    return found;
  }
}

export interface Signal {
  readonly kind: 'feature' | 'harm' | 'bos';
  readonly name: string;
}

export function parseSignal(text: string): Signal {
  const [first, second] = text.split(':') as [string, string?];
  return second === undefined ? { kind: 'feature', name: first } : { kind: first as 'harm' | 'bos', name: second };
}
