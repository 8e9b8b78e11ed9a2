import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { createChannel, createClient } from 'nice-grpc';
import { expect, it } from 'vitest';
import { FmServiceDefinition, type FmServiceImplementation } from '../../../proto/gen/refusalscope/v1/fm.js';
import { silentLogger } from '../../../shared/log/create-logger.js';
import { bindService, startServer } from '../../../shared/rpc/start-server.js';

const bytes = (value: Uint8Array) => value;
const buffers = (value: Buffer) => value;
const reflectionOf = (version: string) => ({
  ask: {
    path: `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`,
    requestStream: true as const,
    responseStream: true as const,
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: buffers,
    options: {},
  },
});
/** A ServerReflectionRequest with one text field: 7 lists services, 4 finds the file that declares a symbol. */
const request = (field: number, text: string) =>
  new BinaryWriter()
    .uint32((field << 3) | 2)
    .string(text)
    .finish();
const topFields = (message: Uint8Array): number[] => {
  const reader = new BinaryReader(message);
  const found: number[] = [];
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    found.push(field);
    reader.skip(wireType);
  }
  return found;
};

it.each(['v1', 'v1alpha'])('reflection %s lists our service and health, and describes both', async (version) => {
  const implementation = {
    fit: async function* () {},
    designMasks: async () => ({}),
  } as unknown as FmServiceImplementation;
  const server = await startServer({
    address: '127.0.0.1:0',
    services: [bindService(FmServiceDefinition, implementation)],
    logger: silentLogger,
  });
  const channel = createChannel(server.address);
  try {
    const client = createClient(reflectionOf(version), channel);
    const ask = async (...requests: Uint8Array[]) => {
      const answers: Buffer[] = [];
      const stream = (async function* () {
        yield* requests;
      })();
      for await (const answer of client.ask(stream)) answers.push(answer);
      return answers;
    };
    const [list, own, health] = await ask(
      request(7, ''),
      request(4, 'refusalscope.v1.FmService.Fit'),
      request(4, 'grpc.health.v1.Health'),
    );
    const services = list?.toString('latin1') ?? '';
    expect(services).toContain('refusalscope.v1.FmService');
    expect(services).toContain('grpc.health.v1.Health');
    expect(services).not.toContain('SearchService');
    // Field 4 is a file descriptor, field 7 an error.
    expect(topFields(own as Buffer)).toContain(4);
    expect(own?.toString('latin1')).toContain('refusalscope/v1/fm.proto');
    expect(topFields(health as Buffer)).toContain(4);
  } finally {
    channel.close();
    await server.stop(100);
  }
});

it('every method that the proto calls idempotent carries the mark that retries look at', () => {
  expect(Object.values(FmServiceDefinition.methods).map(({ options }) => options)).toEqual([
    { idempotencyLevel: 'IDEMPOTENT' },
    { idempotencyLevel: 'IDEMPOTENT' },
  ]);
});
