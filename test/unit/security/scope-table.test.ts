import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { describe, expect, it } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { SCOPED_PATHS, scopesFor } from '../../../shared/security/scope-table.js';

/** The fields of one message that hold bytes, by number; enough to walk a FileDescriptorSet without a library for it. */
const fieldsOf = (message: Uint8Array): Map<number, Uint8Array[]> => {
  const fields = new Map<number, Uint8Array[]>();
  const reader = new BinaryReader(message);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited) fields.set(number, [...(fields.get(number) ?? []), reader.bytes()]);
    else reader.skip(wireType);
  }
  return fields;
};
const text = (values: Uint8Array[] | undefined): string => Buffer.from(values?.[0] ?? []).toString('utf8');

/** Every "/package.Service/Method" of the contract, from the descriptor set that `npm run generate` writes. */
const pathsOfContract = (): string[] => {
  const set = fieldsOf(readFileSync(join(projectRoot, 'proto/gen/descriptor.binpb')));
  return (set.get(1) ?? []).flatMap((file) => {
    const fields = fieldsOf(file);
    return (fields.get(6) ?? []).flatMap((service) => {
      const { 1: name, 2: methods = [] } = Object.fromEntries(fieldsOf(service));
      return methods.map((method) => `/${text(fields.get(2))}.${text(name)}/${text(fieldsOf(method).get(1))}`);
    });
  });
};

const ours = pathsOfContract().filter((path) => path.startsWith('/refusalscope.'));

describe('the table of scopes', () => {
  it('the contract is read: it has its known services', () => {
    expect(ours.length).toBeGreaterThan(25);
    expect(ours).toContain('/refusalscope.v1.InferenceService/EvaluateMasks');
  });

  it.each(ours)('%s has a row with at least one scope', (path) => {
    expect(SCOPED_PATHS).toContain(path);
    expect(scopesFor(path, {})?.length).toBeGreaterThan(0);
  });

  it('no row is left from a method that is gone', () => {
    expect(SCOPED_PATHS.filter((path) => !ours.includes(path))).toEqual([]);
  });

  it('a method outside the table needs more than anyone has', () => {
    expect(scopesFor('/refusalscope.v1.SaeService/Delete', {})).toBeUndefined();
    expect(scopesFor('/other.v1.SaeService/Encode', {})).toBeUndefined();
    expect(scopesFor('/refusalscope.v1.toString', {})).toBeUndefined();
  });

  const bank = { bank: { $case: 'inline', value: { layers: [{ layer: 3, names: ['3/1'] }] } } };
  it.each(['CaptureResiduals', 'EvaluateMasks', 'Generate', 'MeasureCrossEntropy'])(
    '%s with a bank needs intervene',
    (method) => {
      const path = `/refusalscope.v1.InferenceService/${method}`;
      expect(scopesFor(path, {})).toEqual(['read']);
      expect(scopesFor(path, { bank: { bank: { $case: 'inline', value: { layers: [] } } } })).toEqual(['read']);
      expect(scopesFor(path, { bank })).toEqual(['read', 'intervene']);
      expect(scopesFor(path, { bank: { bank: { $case: 'digest', value: 'ab' } } })).toEqual(['read', 'intervene']);
    },
  );
});
