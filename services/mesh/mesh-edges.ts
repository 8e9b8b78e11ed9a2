/**
 * The edges of a process that holds several services: those that only this process calls are on loopback and need no proof of identity;
 * one that others call has everything the settings name. Traces, metrics and the audit log are the same for all.
 */
import { createLogger, type LogDestination, type LogLevel } from '../../shared/log/create-logger.js';
import type { EdgeSettings } from '../../shared/process/edge-settings.js';
import { type OpenEdge, openEdge, openProcessTelemetry } from '../../shared/process/open-edge.js';
import type { Edge } from '../../shared/rpc/edge.js';
import type { Telemetry } from '../../shared/telemetry/telemetry.js';

export interface MeshEdges {
  /** For calls to services elsewhere: token, certificates. */
  readonly caller: Edge;
  /** The command that runs, as one service among the others. */
  readonly telemetry: Telemetry;
  /** For a service that only this process calls, and for calls to it. */
  inside(service: string): Promise<Edge>;
  /** For a service that others may call. */
  outside(service: string): Promise<Edge>;
  close(): Promise<void>;
}

const PROCESS = 'refusalscope';
const COMMAND_LINE = 'cli';

/** Throws CONFIG_INVALID for settings that cannot be used. */
export const openMeshEdges = async (
  settings: EdgeSettings,
  logLevel: LogLevel,
  logTo?: LogDestination,
): Promise<MeshEdges> => {
  const telemetry = await openProcessTelemetry(PROCESS, settings);
  const opened: OpenEdge[] = [];
  const open = async (service: string, own: EdgeSettings): Promise<Edge> => {
    const edge = await openEdge(service, own, createLogger(service, logLevel, logTo), telemetry);
    opened.push(edge);
    return edge;
  };
  const close = async (): Promise<void> => {
    for (const edge of opened.splice(0).reverse()) await edge.close();
    await telemetry.stop();
  };
  try {
    const caller = await open(COMMAND_LINE, { ...settings, REFUSALSCOPE_AUDIT_LOG_DIR: undefined });
    return {
      caller,
      telemetry: telemetry.forService(COMMAND_LINE),
      inside: (service) => open(service, service === COMMAND_LINE ? insideCaller(settings) : inside(settings)),
      outside: (service) => open(service, settings),
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
};

const inside = (settings: EdgeSettings): EdgeSettings => ({
  ...settings,
  REFUSALSCOPE_TLS_CERT: undefined,
  REFUSALSCOPE_TLS_KEY: undefined,
  REFUSALSCOPE_TLS_CA: undefined,
  REFUSALSCOPE_JWKS: undefined,
  REFUSALSCOPE_JWT_ISSUER: undefined,
  REFUSALSCOPE_TOKEN: undefined,
  REFUSALSCOPE_TOKEN_FILE: undefined,
  REFUSALSCOPE_HEALTH_LISTEN: undefined,
});

const insideCaller = (settings: EdgeSettings): EdgeSettings => ({
  ...inside(settings),
  REFUSALSCOPE_AUDIT_LOG_DIR: undefined,
});
