/** Server reflection, v1 and v1alpha (the same messages under two names), from the descriptor set that `npm run generate` writes. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ServerReflection, ServerReflectionService } from 'nice-grpc-server-reflection';
import { projectRoot } from '../project/root.js';

const readDescriptorSet = (): Uint8Array =>
  new Uint8Array(readFileSync(join(projectRoot, 'proto', 'gen', 'descriptor.binpb')));

const v1alphaService = {
  serverReflectionInfo: {
    ...ServerReflectionService.serverReflectionInfo,
    path: '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
  },
};

/** Both reflection services for these full service names, ready to be added to a server. */
export const createReflection = (serviceNames: readonly string[]) => ({
  definitions: [ServerReflectionService, v1alphaService] as const,
  implementation: ServerReflection(readDescriptorSet(), serviceNames),
});
