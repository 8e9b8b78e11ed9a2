/** Which suppressed features a dormant one owes its waking to, and at which tokens it wakes: what a few prompts say together. */

import { type FeatureId, formatFeature } from '../../../shared/tensors/feature-name.js';
import type { Positions } from '../../../shared/tensors/positions.js';
import { editedPositions, kindOfPosition, type PositionKind } from '../model/edited-positions.js';
import type { PreparedPrompt } from '../model/evaluator.js';
import { createFeatureBank, type FeatureBank } from '../model/feature-bank.js';
import type { SearchContext } from '../model/scoring.js';

export interface WakersRequest {
  readonly feature: FeatureId;
  readonly positions: Positions;
  /** Prompts in which it woke. */
  readonly cases: readonly WakingCase[];
}

export interface WakingCase {
  readonly prompt: PreparedPrompt;
  /** Off together, they are thought to wake it. */
  readonly suppressed: readonly FeatureId[];
  /** Taken in their place if they do not. */
  readonly otherwise: readonly FeatureId[];
}

export interface Wakers {
  /** Off alone, these wake it; with any one of them restored it sleeps, or nearly. Empty if nothing suppressed wakes it. */
  readonly features: readonly FeatureId[];
  /** How many positions of each kind it is awake at while they are off, in one prompt. */
  readonly positions: Readonly<Record<PositionKind, number>>;
}

/** Its activation has fallen to no more than this share of what all of them together wake: it sleeps. Noise may leave a gate ajar. */
const AWAKE_SHARE = 0.5;

/** One prompt while suppressed features are being restored. */
interface Restoring {
  readonly prompt: PreparedPrompt;
  readonly bank: FeatureBank;
  /** With everything suppressed. */
  readonly full: Awake;
  off: readonly FeatureId[];
  awake: Awake;
}

interface Awake {
  readonly positions: readonly number[];
  /** Sum of its activations over them. */
  readonly activation: number;
}

/**
 * Suppressed features are restored; those without which the feature stays awake stay restored. A block of them is tried at once and halved
 * where that puts it to sleep, as most of them wake nothing. All prompts that have any of a block decide together, by the activation that
 * is left: a gate that noise holds half open in one prompt must not name a waker for all. The answer is what most prompts are left with, as
 * their sets differ. Costs a forward pass a prompt and block: about 2 log2(n) blocks for each waker among n suppressed features.
 */
export async function findWakers(context: SearchContext, request: WakersRequest): Promise<Wakers> {
  const opened: Restoring[] = [];
  for (const own of request.cases) {
    const restoring =
      (await openCase(context, request, own.prompt, own.suppressed)) ??
      (await openCase(context, request, own.prompt, own.otherwise));
    if (restoring) opened.push(restoring);
  }
  await restoreBlock(context, request, opened, [...new Set(opened.flatMap(({ off }) => off.map(formatFeature)))]);
  const found = opened.map(({ off, awake, prompt }) => ({
    features: off,
    positions: countKinds(awake.positions, prompt),
  }));
  return mostNamed(found) ?? { features: [], positions: { bos: 0, template: 0, content: 0 } };
}

async function restoreBlock(
  context: SearchContext,
  request: WakersRequest,
  opened: readonly Restoring[],
  block: readonly string[],
): Promise<void> {
  const names = new Set(block);
  const having = opened.filter(({ off }) => off.some((member) => names.has(formatFeature(member))));
  const tries: { readonly restoring: Restoring; readonly off: readonly FeatureId[]; readonly awake: Awake }[] = [];
  for (const restoring of having) {
    const off = restoring.off.filter((member) => !names.has(formatFeature(member)));
    tries.push({ restoring, off, awake: await readAwake(context, request, restoring, off) });
  }
  if (total(tries.map(({ awake }) => awake)) > AWAKE_SHARE * total(having.map(({ full }) => full))) {
    for (const { restoring, off, awake } of tries) Object.assign(restoring, { off, awake });
  } else if (block.length > 1) {
    const middle = Math.ceil(block.length / 2);
    await restoreBlock(context, request, opened, block.slice(0, middle));
    await restoreBlock(context, request, opened, block.slice(middle));
  }
}

const total = (readings: readonly Awake[]): number => readings.reduce((sum, { activation }) => sum + activation, 0);

/** Undefined if `suppressed` does not wake the feature. */
async function openCase(
  context: SearchContext,
  request: WakersRequest,
  prompt: PreparedPrompt,
  suppressed: readonly FeatureId[],
): Promise<Restoring | undefined> {
  const off = suppressed.filter(({ layer }) => layer < request.feature.layer);
  const bank = await createFeatureBank(context, off, request.positions);
  const full = await readAwake(context, request, { prompt, bank }, off);
  return full.positions.length === 0 ? undefined : { prompt, bank, full, off, awake: full };
}

/** The edited positions at which the feature is on. */
async function readAwake(
  context: SearchContext,
  { feature: { layer, index }, positions }: WakersRequest,
  { prompt, bank }: Pick<Restoring, 'prompt' | 'bank'>,
  off: readonly FeatureId[],
): Promise<Awake> {
  const asked = editedPositions(positions, prompt.tokens);
  const awake: number[] = [];
  let activation = 0;
  if (asked.length === 0 || off.length === 0) return { positions: awake, activation };
  const capture = {
    prompts: [prompt.prompt],
    layers: [layer],
    positions: asked,
    edits: { bank: bank.bank, on: bank.edits(off).sort((a, b) => a - b) },
  };
  for await (const { residuals, positions: at } of context.model.capture(capture, context.signal)) {
    const rows = await context.saes.encode(layer, residuals.get(layer)!, [index], context.signal);
    awake.push(...at.filter((_, row) => rows[row]!.indices.length > 0));
    activation += rows.reduce((sum, { values: [value] }) => sum + (value ?? 0), 0);
  }
  return { positions: awake, activation };
}

/** The first of those whose features are named most often. */
function mostNamed(found: readonly Wakers[]): Wakers | undefined {
  const keyOf = ({ features }: Wakers) => features.map(formatFeature).sort().join(' ');
  const timesOf = (wakers: Wakers) => found.filter((other) => keyOf(other) === keyOf(wakers)).length;
  return found.toSorted((a, b) => timesOf(b) - timesOf(a))[0];
}

function countKinds(awake: readonly number[], { tokens }: PreparedPrompt): Record<PositionKind, number> {
  const counts = { bos: 0, template: 0, content: 0 };
  for (const position of awake) counts[kindOfPosition(position, tokens)]++;
  return counts;
}
