/** Whatever the bytes are, a reader ends soon, with tensors or with a fault of its own; nothing else is ever thrown. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isFault } from '../../../shared/errors/fault.js';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { readGgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';
import { openNpz } from '../../../shared/tensor-files/npz.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { fixtureBytes, tensorFolder } from './tensor-fixtures.js';

const RUNS = Number(process.env.FUZZ_RUNS ?? 300);
const scratch = tensorFolder();
const allowed = new Set(['TENSOR_FILE_CORRUPT', 'TENSOR_FILE_UNSUPPORTED', 'REQUEST_TOO_LARGE']);

/** Runs `action`; true when it ended without a fault. */
const endsWell = (action: () => void): boolean => {
  try {
    action();
    return true;
  } catch (problem) {
    if (isFault(problem) && allowed.has(problem.code)) return false;
    throw problem;
  }
};

const readEverything = (open: (path: string) => TensorSource, bytes: Uint8Array): boolean =>
  endsWell(() => {
    const file = open(scratch.write('fuzz', bytes));
    try {
      for (const { name, shape } of file.list()) {
        endsWell(() => file.readFloat32(name));
        if (shape.length === 2 && shape[0]! > 0 && shape[1]! > 0) endsWell(() => file.readColumns(name, [0]));
      }
      if ('texts' in file) endsWell(() => readGgufTokenizer(file as ReturnType<typeof openGguf>));
    } finally {
      file.close();
    }
  });

type Mutation = { readonly at: number; readonly bytes: Uint8Array };
const interesting = fc.constantFrom(
  Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff),
  Uint8Array.of(0xff, 0xff, 0xff, 0x7f),
  Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0x80),
  new Uint8Array(8),
);
const mutations = fc.array(
  fc.record({
    // Squared, so that headers are hit more often than data.
    at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }).map((x) => x * x),
    bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 8 }), interesting),
  }),
  { minLength: 1, maxLength: 4 },
);

const mutate = (original: Buffer, changes: readonly Mutation[], cut: number): Buffer => {
  const bytes = Buffer.from(original);
  for (const { at, bytes: patch } of changes)
    bytes.set(patch.subarray(0, bytes.length - 8), Math.floor(at * (bytes.length - 8)));
  return cut < 0.1 ? bytes.subarray(0, Math.floor(cut * 10 * bytes.length)) : bytes;
};

describe.each([
  ['quants.gguf', openGguf],
  ['single.safetensors', openSafetensors],
  ['stored.npz', openNpz],
  ['deflated.npz', openNpz],
] as const)('%s', (name, open) => {
  const original = fixtureBytes(name);

  it('is read whole when nothing is changed (control)', () => {
    expect(readEverything(open, original)).toBe(true);
  });

  it('changed at random gives tensors or a fault', () => {
    let refused = 0;
    fc.assert(
      fc.property(mutations, fc.double({ min: 0, max: 1, noNaN: true }), (changes, cut) => {
        if (!readEverything(open, mutate(original, changes, cut))) refused++;
      }),
      { numRuns: RUNS },
    );
    expect(refused).toBeGreaterThan(RUNS / 20);
  });

  it('replaced by random bytes behind its first ones gives a fault', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 24 }), fc.uint8Array({ maxLength: 200 }), (kept, noise) => {
        expect(readEverything(open, Buffer.concat([original.subarray(0, kept), noise]))).toBe(false);
      }),
      { numRuns: RUNS },
    );
  });
});

it('any bytes at all, opened by their magic, give a fault', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      expect(readEverything(openTensorFile, noise)).toBe(false);
    }),
    { numRuns: RUNS },
  );
});
