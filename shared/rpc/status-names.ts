/** Owns the pairing of the registry's status names with gRPC's numbers, so that no other file spells a number. */
import { Status } from 'nice-grpc';
import type { StatusName } from '../errors/fault.js';

export const statusNumber = (name: StatusName): Status => Status[name];

/** The name of a gRPC status number as logs show it, such as "NOT_FOUND". */
export const statusText = (status: Status): string => Status[status] ?? `STATUS_${status}`;
