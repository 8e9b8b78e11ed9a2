/**
 * The RPC edge: mutated requests to every RPC of every service, over real connections. Each answer must be a registered status, the service
 * must log no defect, and it must answer a sound request in between.
 */
import { Client, credentials } from '@grpc/grpc-js';
import { CoordinatorServiceDefinition, CreateAuditResponse } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { FmServiceDefinition } from '../../../proto/gen/refusalscope/v1/fm.js';
import { DescribeModelResponse, InferenceServiceDefinition } from '../../../proto/gen/refusalscope/v1/inference.js';
import {
  GetEditRowsRequest,
  GetEditRowsResponse,
  SaeServiceDefinition,
} from '../../../proto/gen/refusalscope/v1/sae.js';
import { SearchServiceDefinition } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import type { FuzzTarget, OpenTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { randomBytes } from '../mutate/mutate-bytes.js';
import { mutateMessage } from '../mutate/mutate-message.js';
import { type Answer, type CalledMethod, callRaw, problemOf } from './raw-call.js';
import { type FuzzedMesh, giveMeshBack, takeMesh } from './rpc-mesh.js';
import { buildRpcSeeds } from './rpc-seeds.js';

const SERVICES = {
  inference: InferenceServiceDefinition,
  sae: SaeServiceDefinition,
  search: SearchServiceDefinition,
  fm: FmServiceDefinition,
  coordinator: CoordinatorServiceDefinition,
} as const;
type ServiceName = keyof typeof SERVICES;

interface Rpc extends CalledMethod {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
}

interface MessageType {
  fromPartial(partial: never): unknown;
  encode(message: never): { finish(): Uint8Array };
}
interface Method {
  readonly name: string;
  readonly requestType: MessageType;
  readonly responseStream: boolean;
}

/** Mutations make some requests dear; what is dear ends by its deadline, and that has to work as well. */
const DEADLINE_MS = 500;
const CHECK_EVERY = 250;
const CHECK_DEADLINE_MS = 30_000;

const addressOf = ({ mesh }: FuzzedMesh, service: ServiceName): string =>
  ({
    inference: mesh.inferenceAddress,
    sae: mesh.saeAddress,
    search: mesh.searchAddress,
    fm: mesh.fmAddress,
    coordinator: mesh.coordinatorAddress,
  })[service];

const pathOf = (service: ServiceName, method: string): string => `/${SERVICES[service].fullName}/${method}`;

const rpcsOf = async (fuzzed: FuzzedMesh, service: ServiceName): Promise<Rpc[]> => {
  const seeds = buildRpcSeeds(fuzzed, await someBank(fuzzed), await widthOf(fuzzed))[service]!;
  return Object.values(SERVICES[service].methods as unknown as Record<string, Method>).map((method) => ({
    name: method.name,
    path: pathOf(service, method.name),
    responseStream: method.responseStream,
    seeds: seedsOf(seeds, method).map((seed) =>
      method.requestType.encode(method.requestType.fromPartial(seed as never) as never).finish(),
    ),
  }));
};

const seedsOf = <Seed>(seeds: Readonly<Record<string, readonly Seed[]>>, { name }: Method): readonly Seed[] => {
  const own = seeds[name];
  if (own === undefined) throw new Error(`${name} has no sound request to start from: add one to rpc-seeds.ts.`);
  return own;
};

/** A sound call, for seeds. */
const ask = async (address: string, path: string, request: Uint8Array): Promise<Buffer> => {
  const client = new Client(address, credentials.createInsecure());
  const { messages, text } = await callRaw(client, { path, responseStream: false }, request, CHECK_DEADLINE_MS);
  client.close();
  if (messages[0] === undefined) throw new Error(`${path}: ${text}`);
  return messages[0];
};

const someBank = async (fuzzed: FuzzedMesh) => {
  const request = GetEditRowsRequest.fromPartial({ features: [fuzzed.planted.places.get('refuse')!], target: 0 });
  const path = pathOf('sae', 'GetEditRows');
  const bytes = await ask(fuzzed.mesh.saeAddress, path, GetEditRowsRequest.encode(request).finish());
  return GetEditRowsResponse.decode(bytes).bank!;
};

const widthOf = async (fuzzed: FuzzedMesh): Promise<number> => {
  const path = pathOf('inference', 'DescribeModel');
  return DescribeModelResponse.decode(await ask(fuzzed.mesh.inferenceAddress, path, new Uint8Array())).dModel;
};

class RpcTarget implements OpenTarget {
  private calls = 0;

  constructor(
    private readonly fuzzed: FuzzedMesh,
    private readonly rpcs: readonly Rpc[],
    private readonly client: Client,
    private readonly checkPath: string,
  ) {}

  make: OpenTarget['make'] = (random) => {
    const { name, seeds } = one(random, this.rpcs);
    const noise = chance(random, 0.03);
    return { [name]: noise ? randomBytes(random, random.below(200)) : mutateMessage(random, seeds) };
  };

  decode: OpenTarget['decode'] = async (input) => {
    const [[name, request]] = Object.entries(input) as [[string, Uint8Array]];
    const rpc = this.rpcs.find((candidate) => candidate.name === name)!;
    const answer = await callRaw(this.client, rpc, request, DEADLINE_MS);
    const problem = problemOf(answer);
    const errors = this.fuzzed.takeErrors();
    if (problem !== undefined || errors.length > 0) throw new Error(`${name}: ${problem ?? ''}\n${errors.join('')}`);
    await this.settle(name, answer);
    if (++this.calls % CHECK_EVERY === 0) await this.assertAnswers();
    if (answer.status === 'OK') return true;
    throw fault('REQUEST_INVALID', answer.reason ?? answer.status);
  };

  close = async (): Promise<void> => {
    await this.assertAnswers();
    this.client.close();
    await giveMeshBack();
  };

  /** An audit that was begun is stopped: the cases behind it are about other requests. */
  private async settle(name: string, { messages }: Answer): Promise<void> {
    if (name !== 'CreateAudit' || messages[0] === undefined) return;
    const { audit } = CreateAuditResponse.decode(messages[0]);
    const request = CoordinatorServiceDefinition.methods.cancelAudit.requestType;
    const bytes = request.encode(request.fromPartial({ id: audit!.id })).finish();
    const path = pathOf('coordinator', 'CancelAudit');
    await callRaw(this.client, { path, responseStream: false }, bytes, CHECK_DEADLINE_MS);
  }

  private async assertAnswers(): Promise<void> {
    const check = { path: this.checkPath, responseStream: false };
    const { status, text } = await callRaw(
      this.client,
      check,
      SOUND[this.checkPath] ?? Buffer.alloc(0),
      CHECK_DEADLINE_MS,
    );
    if (status !== 'OK') throw new Error(`a sound request is answered ${status}: ${text}`);
  }
}

/** Cheap, sound, and through the service's thread where it has one. */
const CHECKS: Readonly<Record<ServiceName, string>> = {
  inference: pathOf('inference', 'DescribeModel'),
  sae: pathOf('sae', 'ListSaes'),
  search: '/grpc.health.v1.Health/Check',
  fm: pathOf('fm', 'DesignMasks'),
  coordinator: pathOf('coordinator', 'ListAudits'),
};

const { requestType: Design } = FmServiceDefinition.methods.designMasks;
const SOUND: Readonly<Record<string, Buffer>> = {
  [CHECKS.fm]: Buffer.from(Design.encode(Design.fromPartial({ features: 3, count: 2, design: 1, seed: 1 })).finish()),
};

const rpcTarget = (service: ServiceName, weight: number, shortCases: number): FuzzTarget => ({
  name: `rpc-${service}`,
  reads: `every RPC of ${SERVICES[service].fullName}, over gRPC`,
  weight,
  shortCases,
  open: async (scratch) => {
    const fuzzed = await takeMesh(scratch);
    const rpcs = await rpcsOf(fuzzed, service);
    const client = new Client(addressOf(fuzzed, service), credentials.createInsecure());
    return new RpcTarget(fuzzed, rpcs, client, CHECKS[service]);
  },
});

export const RPC_TARGETS: readonly FuzzTarget[] = [
  rpcTarget('inference', 3, 30),
  rpcTarget('sae', 3, 30),
  rpcTarget('search', 3, 30),
  rpcTarget('fm', 2, 20),
  rpcTarget('coordinator', 3, 30),
];
