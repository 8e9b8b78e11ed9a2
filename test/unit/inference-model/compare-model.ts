/** Runs a tiny model through the engine's plain way and holds its logits against those that transformers gave (make.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createEditBank, type EditBank } from '../../../services/inference/engine/edit-bank.js';
import { plainForward } from '../../../services/inference/engine/plain-forward.js';
import { Sequence } from '../../../services/inference/engine/sequence.js';
import { Transformer } from '../../../services/inference/engine/transformer.js';
import { createWeights, type WeightOptions } from '../../../services/inference/graph/create-weights.js';
import type { ModelSpec } from '../../../services/inference/model/model-spec.js';
import { openModel } from '../../../services/inference/model/open-model.js';
import { projectRoot } from '../../../shared/project/root.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';

export const modelFixtures = join(projectRoot, 'test/fixtures/models');

export interface Comparison {
  /** Folder below test/fixtures/models. */
  readonly model: string;
  /** "" for the folder itself, or a GGUF file in it. */
  readonly file?: string;
  readonly adapter?: string;
  /** Name of the reference, below the model's folder. */
  readonly reference?: string;
  readonly weights?: WeightOptions;
  /** Changes the spec before the graphs are built: what a wrong reading of the config would do. */
  alter?(spec: ModelSpec): ModelSpec;
}

/** Largest |difference| / largest |logit| of the reference, by check. */
export interface Differences {
  /** All sequences in one padded batch. */
  readonly logits: number;
  /** A vector added to the residual after one layer. */
  readonly edited: number;
  /** Token by token behind a first part, on the keys kept. */
  readonly continued: number;
}

interface Reference {
  readonly sequences: readonly number[][];
  readonly positions: readonly number[][];
  readonly editLayer: number;
}

export async function compareModel(comparison: Comparison): Promise<Differences> {
  const folder = join(modelFixtures, comparison.model);
  const name = join(folder, comparison.reference ?? 'reference');
  const reference = JSON.parse(readFileSync(`${name}.json`, 'utf8')) as Reference;
  const tensors = openSafetensors(`${name}.safetensors`);
  const adapter = comparison.adapter === undefined ? undefined : join(folder, comparison.adapter);
  const model = openModel(join(folder, comparison.file ?? ''), adapter);
  const spec = comparison.alter?.(model.spec) ?? model.spec;
  const { sink, runtime } = createWeights(model, comparison.weights ?? { mode: 'copied' });
  const transformer = await Transformer.create(spec, model.weights, sink, {
    threads: 1,
    device: 'cpu',
    ...runtime,
  });
  sink.close?.();
  const compare = (logits: readonly Float32Array[], kind: string) =>
    Math.max(...logits.map((rows, i) => relative(rows, tensors.readFloat32(`${kind}.${i}`))));
  const bank = steering(tensors.readFloat32('delta'), reference.editLayer);
  try {
    return {
      logits: compare(await runWhole(transformer, reference), 'logits'),
      edited: compare(await runWhole(transformer, reference, bank), 'edited'),
      continued: compare(await runContinued(transformer, reference), 'logits'),
    };
  } finally {
    await transformer.close();
    tensors.close();
  }
}

/** x' = x + delta at every position: an edit that reads nothing. */
const steering = (delta: Float32Array, layer: number): EditBank =>
  createEditBank(
    [
      {
        layer,
        read: new Float32Array(delta.length),
        write: delta,
        bias: new Float32Array(1),
        threshold: Float32Array.of(Number.NEGATIVE_INFINITY),
        target: Float32Array.of(1),
        positions: { span: 'all', start: 0, end: 0, includeBos: true },
      },
    ],
    delta.length,
  );

const start = (transformer: Transformer, tokenIds: readonly number[], capacity: number): Sequence =>
  new Sequence(
    { tokenIds: [...tokenIds], instructionStart: 1, promptLength: tokenIds.length },
    undefined,
    transformer.spec,
    capacity,
  );

/** Logits [positions, vocab] of each sequence. */
async function runWhole(transformer: Transformer, reference: Reference, bank?: EditBank): Promise<Float32Array[]> {
  const sequences = reference.sequences.map((ids) => start(transformer, ids, ids.length));
  const rows = await plainForward(transformer, sequences, bank);
  return Promise.all(rows.map((residual, i) => logitsAt(transformer, residual, reference.positions[i])));
}

/** The same logits, the first half of each sequence run as one piece and every later token on its own. */
async function runContinued(transformer: Transformer, reference: Reference): Promise<Float32Array[]> {
  const results: Float32Array[] = [];
  for (const [i, ids] of reference.sequences.entries()) {
    const half = ids.length >> 1;
    const sequence = start(transformer, ids.slice(0, half), ids.length);
    const pieces = await plainForward(transformer, [sequence], undefined);
    for (const id of ids.slice(half)) {
      sequence.tokenIds.push(id);
      pieces.push(...(await plainForward(transformer, [sequence], undefined)));
    }
    const whole = Float32Array.from(pieces.flatMap((piece) => [...piece]));
    results.push(await logitsAt(transformer, whole, reference.positions[i]));
  }
  return results;
}

async function logitsAt(
  transformer: Transformer,
  residual: Float32Array,
  positions: readonly number[],
): Promise<Float32Array> {
  const { dModel } = transformer.spec;
  const rows = Float32Array.from(positions.flatMap((p) => [...residual.subarray(p * dModel, (p + 1) * dModel)]));
  const { logits } = await transformer.runHead(rows, new BigInt64Array(positions.length), true);
  return logits as Float32Array;
}

function relative(given: Float32Array, wanted: Float32Array): number {
  if (given.length !== wanted.length)
    throw new Error(`${given.length} logits were given, the reference has ${wanted.length}`);
  const scale = wanted.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
  return given.reduce((max, value, i) => Math.max(max, Math.abs(value - wanted[i])), 0) / scale;
}
