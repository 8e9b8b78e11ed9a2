/**
 * How far stage 3 switches stage 2 off: the set members that are on in their clean prompt, read again with the machine's first features
 * off. A layer is read before its own edits, as an edit there would read as a change of every feature with a similar row; features that
 * are ablated themselves are left out.
 */
import type { EditBank } from '../../../../proto/gen/refusalscope/v1/types.js';
import { parseFeature } from '../../../../shared/tensors/feature-name.js';
import { encodeMaskIndices } from '../../../../shared/tensors/mask-bits.js';
import { decodeMatrix, encodeMatrix } from '../../../../shared/tensors/matrix.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import { present } from '../../peers/from-wire.js';
import { encodeFeatures, encodePrompt } from '../../peers/to-wire.js';
import type { Deactivation } from '../../report/paper-facts.js';
import { type PromptWithSet, promptsWithSets } from '../search-prompts.js';
import type { StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';

/** Captures cost a pass a layer and prompt: enough prompts for a share, few enough to be a small part of the audit. */
const MAX_PROMPTS = 16;

interface Change {
  readonly clean: number;
  readonly edited: number;
}

/** null if no member is on in its clean prompt. */
export const measureDeactivation = async (
  context: StageContext,
  earlier: StageResults,
  off: readonly string[],
): Promise<Deactivation | null> => {
  const cases = promptsWithSets(context.spec, earlier).slice(0, MAX_PROMPTS);
  const { bank } = await context.peers.sae.getEditRows(
    { features: encodeFeatures(off), target: 0, positions: encodePositions(context.spec.positions) },
    { signal: context.signal },
  );
  const own = new Set(off);
  const byPrompt: Change[][] = [];
  for (const [i, one] of cases.entries()) {
    const members = one.features.filter((feature) => !own.has(feature));
    byPrompt.push(await readMembers(context, earlier, one, members, present(bank, 'a bank')));
    context.progress(i + 1, cases.length, 'deactivation');
  }
  return describeDeactivation(off.length, byPrompt);
};

export const describeDeactivation = (
  features: number,
  byPrompt: readonly (readonly Change[])[],
): Deactivation | null => {
  const on = byPrompt.map((changes) => changes.filter(({ clean }) => clean > 0)).filter(({ length }) => length > 0);
  if (on.length === 0) return null;
  const silent = (changes: readonly Change[]) => changes.filter(({ edited }) => edited <= 0).length;
  const all = on.flat();
  return {
    features,
    prompts: on.length,
    silenced: { count: silent(all), of: all.length },
    largestShare: Math.max(...on.map((changes) => silent(changes) / changes.length)),
    meanDrop: all.reduce((sum, { clean, edited }) => sum + (clean - edited) / clean, 0) / all.length,
  };
};

const readMembers = async (
  context: StageContext,
  { describe: { instructionStarts } }: StageResults,
  { prompt }: PromptWithSet,
  members: readonly string[],
  bank: EditBank,
): Promise<Change[]> => {
  const found = members.map(parseFeature);
  const layers = [...new Set(found.map(({ layer }) => layer))];
  const start = instructionStarts[context.spec.prompts.indexOf(prompt)] ?? 1;
  const changes: Change[] = [];
  for (const layer of layers) {
    const indices = found.filter((one) => one.layer === layer).map(({ index }) => index);
    indices.sort((a, b) => a - b);
    const read = async (edited: boolean) => {
      const request = { model: context.spec.model, prompts: [encodePrompt(prompt)], layers: [layer] };
      const edits = edited
        ? { bank: { bank: { $case: 'inline' as const, value: bank } }, mask: maskBelow(bank, layer) }
        : {};
      let peaks: number[] = [];
      for await (const captured of context.peers.inference.captureResiduals({ ...request, ...edits }, context)) {
        peaks = await readPeaks(
          context,
          layer,
          indices,
          decodeMatrix(captured.layers[0]?.residual, { name: 'residual' }),
          start,
        );
      }
      return peaks;
    };
    const [clean, edited] = [await read(false), await read(true)];
    changes.push(...indices.map((_, i) => ({ clean: clean[i] ?? 0, edited: edited[i] ?? 0 })));
  }
  return changes;
};

/** The bank's edits below the layer. */
const maskBelow = ({ layers }: EditBank, layer: number) => {
  const owners = layers.flatMap((edits) => edits.names.map(() => edits.layer));
  const on = owners.flatMap((owner, i) => (owner < layer ? [i] : []));
  return { bits: encodeMaskIndices(on, owners.length) };
};

interface Rows {
  readonly rows: number;
  readonly cols: number;
  readonly data: Float32Array;
}

/** The largest activation of each feature from the instruction on. */
const readPeaks = async (
  { peers, signal }: StageContext,
  layer: number,
  indices: readonly number[],
  { rows, cols, data }: Rows,
  start: number,
): Promise<number[]> => {
  const residual = encodeMatrix({ rows: rows - start, cols, data: data.slice(start * cols) });
  const encoded = await peers.sae.encode({ layer, residual, features: [...indices] }, { signal });
  const peaks = new Map<number, number>();
  for (const row of encoded.rows) {
    row.indices.forEach((index, i) => {
      peaks.set(index, Math.max(peaks.get(index) ?? 0, row.values[i] ?? 0));
    });
  }
  return indices.map((index) => peaks.get(index) ?? 0);
};
