/**
 * Requests whose bytes are no message. The gRPC library answers those itself, with INTERNAL, as if the server were at fault; here the
 * failed decoding travels on as a request of its own kind, and the innermost middleware refuses it as what it is: a bad request.
 */
import type { CompatServiceDefinition, ServerMiddleware } from 'nice-grpc';
import { fault } from '../errors/fault.js';

class Undecodable {
  constructor(readonly cause: unknown) {}
}

type Decode = (bytes: Uint8Array) => unknown;
interface TsProtoMethod {
  readonly requestType: { readonly decode: Decode };
}

/** The same service, of which no request fails to decode; serve it behind `refuseUndecodable` alone. */
export const withDecodableRequests = <Definition extends CompatServiceDefinition>(
  definition: Definition,
): Definition => {
  const { methods } = definition as unknown as { methods: Readonly<Record<string, TsProtoMethod>> };
  const tolerant = Object.entries(methods).map(([name, method]) => {
    const decode: Decode = (bytes) => {
      try {
        return method.requestType.decode(bytes);
      } catch (cause) {
        return new Undecodable(cause);
      }
    };
    return [name, { ...method, requestType: { ...method.requestType, decode } }];
  });
  return { ...definition, methods: Object.fromEntries(tolerant) };
};

/** Throws REQUEST_INVALID for a request that could not be decoded. Requests of our services are single messages, never streams. */
export const refuseUndecodable: ServerMiddleware = async function* refuseUndecodable(call, context) {
  if (call.request instanceof Undecodable) {
    const { cause } = call.request;
    throw fault('REQUEST_INVALID', `The bytes of the request are no message of ${call.method.path}.`, { cause });
  }
  return yield* call.next(call.request, context);
};
