/** What the tensor file tests share: the values that Python read, scratch files, and the check that an error is a coded one. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type FaultCode, isFault } from '../../../shared/errors/fault.js';
import { projectRoot } from '../../../shared/project/root.js';
import { scratchFolder } from '../../fixtures/scratch-folder.js';

export const fixturePath = (name: string): string => join(projectRoot, 'test/fixtures/tensor-files', name);
export const fixtureBytes = (name: string): Buffer => readFileSync(fixturePath(name));

/** The tensors that Python read from `file`, by name. Parsed here by hand, not by the reader under test. */
export const expectedTensors = (file: string): ReadonlyMap<string, { shape: number[]; values: Float32Array }> => {
  const bytes = fixtureBytes('expected.safetensors');
  const headerLength = Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerLength)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const found = new Map<string, { shape: number[]; values: Float32Array }>();
  for (const [name, { dtype, shape, data_offsets }] of Object.entries(header)) {
    if (!name.startsWith(`${file}:`)) continue;
    if (dtype !== 'F32') throw new Error(`${name} is ${dtype}`);
    const data = bytes.subarray(8 + headerLength + data_offsets[0], 8 + headerLength + data_offsets[1]);
    found.set(name.slice(file.length + 1), { shape, values: new Float32Array(new Uint8Array(data).buffer) });
  }
  return found;
};

/** The float32 bit patterns, which compare NaN and the two zeros exactly. */
export const bits = (values: Float32Array): Uint32Array =>
  new Uint32Array(values.buffer, values.byteOffset, values.length);

/** A scratch folder that files are written into by name; it is removed at the end. */
export const tensorFolder = (): { path: string; write(name: string, bytes: Uint8Array | string): string } => {
  const path = scratchFolder('tensor-files');
  return {
    path,
    write: (name, bytes) => {
      writeFileSync(join(path, name), bytes);
      return join(path, name);
    },
  };
};

/** Runs `action`, which must throw a fault with this code and a text that matches every pattern. */
export const expectFault = (
  action: () => unknown,
  code: FaultCode,
  ...patterns: readonly (RegExp | string)[]
): void => {
  let thrown: unknown;
  try {
    action();
  } catch (problem) {
    thrown = problem;
  }
  if (!isFault(thrown)) throw new Error(`expected the fault ${code}, got ${String(thrown)}`, { cause: thrown });
  expect(thrown.code, thrown.message).toBe(code);
  for (const pattern of patterns) expect(thrown.message).toMatch(pattern);
};
