/** The settings that every service shares: certificates, tokens, the audit log, telemetry, limits. Read with those of the service itself. */
import { addressText, type SettingsOf, secretText, wholeNumber, z } from '../config/load-config.js';
import { fault } from '../errors/fault.js';
import { LOG_LEVELS } from '../log/create-logger.js';

const flag = () => z.enum(['0', '1'], { error: 'must be 0 or 1' }).transform((text) => text === '1');
const share = () =>
  z
    .string()
    .transform(Number)
    .refine((value) => value >= 0 && value <= 1, { message: 'must be between 0 and 1' });

export const EDGE_SHAPE = {
  REFUSALSCOPE_LOG_LEVEL: z.enum(LOG_LEVELS).prefault('info'),
  // Certificates: all three or none.
  REFUSALSCOPE_TLS_CERT: z.string().optional(),
  REFUSALSCOPE_TLS_KEY: z.string().optional(),
  REFUSALSCOPE_TLS_CA: z.string().optional(),
  REFUSALSCOPE_TLS_CLIENTS: z.enum(['none', 'request', 'require']).prefault('require'),
  REFUSALSCOPE_TLS_RELOAD_S: wholeNumber(1, 86_400).prefault('30'),
  // Tokens of callers: a key set with its issuer and audience.
  REFUSALSCOPE_JWKS: z.string().optional(),
  REFUSALSCOPE_JWT_ISSUER: z.string().optional(),
  REFUSALSCOPE_JWT_AUDIENCE: z.string().prefault('refusalscope'),
  REFUSALSCOPE_JWT_CLOCK_TOLERANCE_S: wholeNumber(0, 300).prefault('30'),
  // This process's own token.
  REFUSALSCOPE_TOKEN: secretText().optional(),
  REFUSALSCOPE_TOKEN_FILE: z.string().optional(),
  REFUSALSCOPE_INSECURE: flag().prefault('0'),
  REFUSALSCOPE_AUDIT_LOG_DIR: z.string().optional(),
  REFUSALSCOPE_HEALTH_LISTEN: addressText().optional(),
  // Telemetry; the first two are OpenTelemetry's own names.
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: 'must be an http or https URL' }).optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.enum(['grpc', 'http/json']).prefault('grpc'),
  REFUSALSCOPE_METRICS_LISTEN: addressText().optional(),
  REFUSALSCOPE_TRACE_RATIO: share().prefault('1'),
  // Limits.
  REFUSALSCOPE_MAX_MESSAGE_MB: wholeNumber(1, 1024).optional(),
  REFUSALSCOPE_MAX_CALLS: wholeNumber(1, 1_000_000).prefault('4096'),
  REFUSALSCOPE_MAX_CALLS_PER_CONNECTION: wholeNumber(1, 1_000_000).prefault('1000'),
  REFUSALSCOPE_MAX_CALL_S: wholeNumber(0, 10_000_000).prefault('0'),
  REFUSALSCOPE_CONNECTION_AGE_S: wholeNumber(0, 86_400).prefault('0'),
  REFUSALSCOPE_GRACE_S: wholeNumber(0, 3600).prefault('20'),
};

export type EdgeSettings = SettingsOf<typeof EDGE_SHAPE>;

/** Settings that only make sense together. Throws CONFIG_INVALID with all that is missing. */
export const assertEdgeSettings = (settings: EdgeSettings): void => {
  const problems: string[] = [];
  const tls = ['REFUSALSCOPE_TLS_CERT', 'REFUSALSCOPE_TLS_KEY', 'REFUSALSCOPE_TLS_CA'] as const;
  const missing = tls.filter((name) => settings[name] === undefined);
  if (missing.length > 0 && missing.length < tls.length) {
    problems.push(`${missing.join(' and ')}: set all of ${tls.join(', ')}, or none`);
  }
  if (settings.REFUSALSCOPE_JWKS !== undefined && settings.REFUSALSCOPE_JWT_ISSUER === undefined) {
    problems.push('REFUSALSCOPE_JWT_ISSUER: name the issuer whose tokens REFUSALSCOPE_JWKS checks');
  }
  if (settings.REFUSALSCOPE_TOKEN !== undefined && settings.REFUSALSCOPE_TOKEN_FILE !== undefined) {
    problems.push('REFUSALSCOPE_TOKEN and REFUSALSCOPE_TOKEN_FILE: set one of them');
  }
  if (problems.length === 0) return;
  throw fault('CONFIG_INVALID', `The settings have ${problems.length} faults:\n  ${problems.join('\n  ')}`);
};
