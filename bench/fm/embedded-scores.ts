/**
 * Refusal scores of the embedded model under masks over a few features, each mask evaluated once: what was scored before stands in a file,
 * so that a run that was cut off goes on.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import type { DesignMatrix } from '../../services/fm/design-matrix.js';
import { ensureEmbeddedModel } from '../../shared/model-store/ensure-model-file.js';
import { startDirect } from '../engine/contestants.js';
import { bankOf, golden, nearestFeatures, openSaeStore } from '../engine/workload.js';

export interface EmbeddedModel {
  readonly prompt: string;
  readonly features: readonly string[];
  /** [rows] one score a mask, in order. */
  score(masks: DesignMatrix): Promise<Float64Array>;
  stop(): Promise<void>;
}

/** Candidates a layer among which the features are chosen. */
const CANDIDATES = 20;
/** Masks between two lines of the file. */
const CHUNK = 128;

/**
 * The `count` of 120 candidates that matter most to the prompt: by what the loss of each alone changes, and what each alone restores once
 * all are off. Of one prompt, as pairs are measured prompt by prompt.
 */
export async function openEmbedded(
  promptIndex: number,
  count: number,
  file: string | undefined,
  say: (text: string) => void,
): Promise<EmbeddedModel> {
  const { path } = await ensureEmbeddedModel();
  const store = openSaeStore();
  const engine = await startDirect(path);
  const { id, token_ids } = golden.clean[promptIndex]!;
  const known = openScoreFile(file);

  const scorerOf = (names: readonly string[]) => {
    const bank = bankOf(store, names);
    const digest = createHash('sha256')
      .update(`${id} ${names.join(' ')}`)
      .digest('hex')
      .slice(0, 16);
    return async (masks: readonly string[]): Promise<number[]> => {
      const keyOf = (mask: string) => `${digest} ${mask}`;
      const missing = [...new Set(masks.filter((mask) => known.get(keyOf(mask)) === undefined))];
      for (let from = 0; from < missing.length; from += CHUNK) {
        const chunk = missing.slice(from, from + CHUNK);
        const scores = await engine.evaluate(
          [{ id, token_ids }],
          bank,
          chunk.map((mask) => ({ prompt: 0, mask })),
        );
        known.add(chunk.map((mask, i) => [keyOf(mask), scores[i]!.refusal_score]));
        say(`${id}: ${from + chunk.length} of ${missing.length} masks of ${names.length} features`);
      }
      return masks.map((mask) => known.get(keyOf(mask))!);
    };
  };

  const candidates = nearestFeatures(store, CANDIDATES, golden.sae_layers);
  const features = chooseFeatures(candidates, count, await scorerOf(candidates)(probesOf(candidates.length)));
  const score = scorerOf(features);
  return {
    prompt: id,
    features,
    score: async ({ rows, columns, values }) =>
      Float64Array.from(
        await score(Array.from({ length: rows }, (_, r) => values.subarray(r * columns, (r + 1) * columns).join(''))),
      ),
    stop: () => engine.stop(),
  };
}

/** Nothing, everything, each alone off, each alone left on. */
function probesOf(size: number): string[] {
  const maskOf = (isOff: (k: number) => boolean) => Array.from({ length: size }, (_, k) => (isOff(k) ? 1 : 0)).join('');
  const each = Array.from({ length: size }, (_, i) => i);
  return [
    maskOf(() => false),
    maskOf(() => true),
    ...each.map((i) => maskOf((k) => k === i)),
    ...each.map((i) => maskOf((k) => k !== i)),
  ];
}

/** In the order of the candidates: features of one layer stay together. */
function chooseFeatures(candidates: readonly string[], count: number, scores: readonly number[]): string[] {
  const [intact, none] = [scores[0]!, scores[1]!];
  const size = candidates.length;
  const weight = (i: number) => Math.abs(scores[2 + i]! - intact) + Math.abs(scores[2 + size + i]! - none);
  const order = Array.from({ length: size }, (_, i) => i).sort((a, b) => weight(b) - weight(a));
  const kept = new Set(order.slice(0, count));
  return candidates.filter((_, i) => kept.has(i));
}

function openScoreFile(path: string | undefined) {
  const scores = new Map<string, number>();
  if (path !== undefined && existsSync(path))
    for (const line of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
      const at = line.lastIndexOf(' ');
      scores.set(line.slice(0, at), Number(line.slice(at + 1)));
    }
  return {
    get: (key: string) => scores.get(key),
    add: (found: readonly (readonly [key: string, score: number])[]) => {
      for (const [key, score] of found) scores.set(key, score);
      if (path !== undefined) appendFileSync(path, found.map(([key, score]) => `${key} ${score}\n`).join(''));
    },
  };
}
