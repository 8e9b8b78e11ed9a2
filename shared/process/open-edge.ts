/** Opens what the settings of the edge name: certificates, keys for tokens, the audit log, telemetry. Closes them in the opposite order. */
import { join } from 'node:path';
import type { ClientMiddleware, ServerMiddleware } from 'nice-grpc';
import type { Logger } from '../log/create-logger.js';
import type { Edge } from '../rpc/edge.js';
import type { RequestContext } from '../rpc/request-log.js';
import { createAuditCalls } from '../security/audit-calls.js';
import { openAuditLog } from '../security/audit-log.js';
import { createAuthorization } from '../security/authorization.js';
import { createCallerToken } from '../security/caller-token.js';
import { createEditLog } from '../security/edit-log.js';
import { isUrl } from '../security/jwks-source.js';
import { createChannelTls, createServerTls, type ServerTls } from '../security/tls-credentials.js';
import { openTlsFiles, type TlsFiles } from '../security/tls-files.js';
import { createTokenVerifier, type TokenVerifier } from '../security/token-verifier.js';
import { openTelemetry, type ProcessTelemetry, type Telemetry } from '../telemetry/telemetry.js';
import { assertEdgeSettings, type EdgeSettings } from './edge-settings.js';

export interface OpenEdge extends Edge {
  close(): Promise<void>;
}

/** Throws CONFIG_INVALID for settings that do not fit together and files that cannot be used. */
export const openEdge = async (
  service: string,
  settings: EdgeSettings,
  logger: Logger,
  opened?: ProcessTelemetry,
): Promise<OpenEdge> => {
  assertEdgeSettings(settings);
  const process = opened ?? (await openProcessTelemetry(service, settings));
  const telemetry = process.forService(service);
  const tls = await openTls(settings, logger, telemetry);
  const auditLog =
    settings.REFUSALSCOPE_AUDIT_LOG_DIR === undefined
      ? undefined
      : await openAuditLog(join(settings.REFUSALSCOPE_AUDIT_LOG_DIR, `${service}.jsonl`));
  const verifier = await openVerifier(settings);
  const parts = { logger, metrics: telemetry.metrics };
  const serverMiddleware: ServerMiddleware<object, RequestContext>[] = [
    createAuthorization({ ...parts, verifier, peerKey: tls.server?.peerKey }),
  ];
  const editLog = auditLog && createEditLog({ ...parts, log: auditLog });
  if (editLog !== undefined) serverMiddleware.push(createAuditCalls(editLog));
  return {
    telemetry,
    serverMiddleware,
    clientMiddleware: clientMiddlewareOf(settings),
    ...(tls.server && { serverCredentials: tls.server.credentials }),
    ...(tls.files && { channelCredentials: createChannelTls(tls.files) }),
    ...(editLog && { editLog }),
    limits: limitsOf(settings),
    graceMs: settings.REFUSALSCOPE_GRACE_S * 1000,
    authenticates: verifier !== undefined || (tls.server !== undefined && settings.REFUSALSCOPE_TLS_CLIENTS !== 'none'),
    allowsInsecure: settings.REFUSALSCOPE_INSECURE,
    ...(settings.REFUSALSCOPE_HEALTH_LISTEN !== undefined && { healthListen: settings.REFUSALSCOPE_HEALTH_LISTEN }),
    close: async () => {
      await auditLog?.close();
      tls.files?.stop();
      if (opened === undefined) await process.stop();
    },
  };
};

export const openProcessTelemetry = (name: string, settings: EdgeSettings): Promise<ProcessTelemetry> =>
  openTelemetry(name, {
    otlpEndpoint: settings.OTEL_EXPORTER_OTLP_ENDPOINT?.replace(/\/$/, ''),
    otlpProtocol: settings.OTEL_EXPORTER_OTLP_PROTOCOL,
    metricsListen: settings.REFUSALSCOPE_METRICS_LISTEN,
    traceRatio: settings.REFUSALSCOPE_TRACE_RATIO,
  });

const openTls = async (
  settings: EdgeSettings,
  logger: Logger,
  { metrics }: Telemetry,
): Promise<{ readonly files?: TlsFiles; readonly server?: ServerTls }> => {
  const { REFUSALSCOPE_TLS_CERT: cert, REFUSALSCOPE_TLS_KEY: key, REFUSALSCOPE_TLS_CA: ca } = settings;
  if (cert === undefined || key === undefined || ca === undefined) return {};
  const files = await openTlsFiles(
    { cert, key, ca },
    {
      logger,
      pollMs: settings.REFUSALSCOPE_TLS_RELOAD_S * 1000,
      onReload: (outcome) => metrics.add('refusal.tls.reloads', 1, { outcome }),
    },
  );
  return { files, server: createServerTls(files, settings.REFUSALSCOPE_TLS_CLIENTS) };
};

const openVerifier = async (settings: EdgeSettings): Promise<TokenVerifier | undefined> => {
  const { REFUSALSCOPE_JWKS: jwks, REFUSALSCOPE_JWT_ISSUER: issuer } = settings;
  if (jwks === undefined || issuer === undefined) return undefined;
  const verifier = createTokenVerifier({
    jwks,
    issuer,
    audience: settings.REFUSALSCOPE_JWT_AUDIENCE,
    clockToleranceS: settings.REFUSALSCOPE_JWT_CLOCK_TOLERANCE_S,
  });
  // A provider at a URL may start later than we do; a file is there or it is not.
  if (!isUrl(jwks)) await verifier.assertKeys();
  return verifier;
};

const clientMiddlewareOf = (settings: EdgeSettings): ClientMiddleware[] => [
  createCallerToken({ token: settings.REFUSALSCOPE_TOKEN, tokenFile: settings.REFUSALSCOPE_TOKEN_FILE }),
];

const limitsOf = (settings: EdgeSettings) => ({
  ...(settings.REFUSALSCOPE_MAX_MESSAGE_MB !== undefined && {
    maxMessageBytes: settings.REFUSALSCOPE_MAX_MESSAGE_MB * (1 << 20),
  }),
  maxCalls: settings.REFUSALSCOPE_MAX_CALLS,
  maxConcurrentStreams: settings.REFUSALSCOPE_MAX_CALLS_PER_CONNECTION,
  maxCallMs: settings.REFUSALSCOPE_MAX_CALL_S * 1000,
  maxConnectionAgeMs: settings.REFUSALSCOPE_CONNECTION_AGE_S * 1000,
});
