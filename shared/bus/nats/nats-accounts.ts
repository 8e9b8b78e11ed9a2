/** The account of the mesh in nats-server's configuration: a user a service, with its rights. JSON, which nats-server reads as it is. */
import { BUS_SERVICES, type BusService, natsRightsOf, type RightsOptions } from './nats-rights.js';

export interface NatsAccounts {
  readonly [account: string]: { readonly jetstream: 'enabled'; readonly users: readonly NatsUser[] };
}

interface NatsUser {
  readonly user: string;
  readonly password?: string;
  readonly permissions: {
    readonly publish: { readonly allow: readonly string[] };
    readonly subscribe: { readonly allow: readonly string[] };
  };
}

/** @param identify by certificate (`verify_and_map`): the URI of the service; else a name and a password */
export const natsAccountsOf = (
  options: RightsOptions,
  identify: (service: BusService) => Pick<NatsUser, 'user' | 'password'> = byCertificate,
): NatsAccounts => ({
  [accountOf(options.namespace)]: {
    jetstream: 'enabled',
    users: BUS_SERVICES.map((service) => {
      const { publish, subscribe } = natsRightsOf(service, options);
      return { ...identify(service), permissions: { publish: { allow: publish }, subscribe: { allow: subscribe } } };
    }),
  },
});

/** Such as "REFUSAL". KEDA is told this name. */
export const accountOf = (namespace: string): string => namespace.toUpperCase();

/** As services know each other (docs/security.md). */
const byCertificate = (service: BusService) => ({ user: `spiffe://refusalscope/service/${service}` });
