/**
 * The one registry of errors. A fault carries a stable code; the code decides the gRPC status and whether a retry can help,
 * so no handler ever picks a status by hand. The text says what was given, what the limit is and what to do.
 */

/** The gRPC status names this project uses (google.rpc.Code); kept as names so that the domain needs no gRPC import. */
export type StatusName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'FAILED_PRECONDITION'
  | 'RESOURCE_EXHAUSTED'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'CANCELLED'
  | 'DEADLINE_EXCEEDED'
  | 'UNAVAILABLE'
  | 'DATA_LOSS'
  | 'UNIMPLEMENTED'
  | 'INTERNAL';

interface FaultRow {
  readonly status: StatusName;
  readonly retryable: boolean;
  /** What the code means, for docs/errors.md. */
  readonly meaning: string;
}

const row = (status: StatusName, meaning: string, retryable = false): FaultRow => ({ status, retryable, meaning });

export const FAULTS = {
  TENSOR_FILE_CORRUPT: row('INVALID_ARGUMENT', 'A GGUF, safetensors or npz file is damaged, cut short or hostile.'),
  TENSOR_FILE_UNSUPPORTED: row(
    'INVALID_ARGUMENT',
    'A file is sound but uses a dtype, version or layout that is not read.',
  ),
  TENSOR_NOT_FOUND: row('NOT_FOUND', 'A file lacks a tensor that the model or SAE needs.'),
  FILE_NOT_FOUND: row('NOT_FOUND', 'A path that was named does not exist or cannot be read.'),
  SHAPE_MISMATCH: row('INVALID_ARGUMENT', 'An adapter, SAE, bank or vector has another width than the model.'),
  NOT_FINITE: row('INVALID_ARGUMENT', 'A number that must be finite is NaN or infinite.'),
  PROMPT_EMPTY: row('INVALID_ARGUMENT', 'A prompt has no text and no tokens.'),
  PROMPT_TOO_LONG: row('INVALID_ARGUMENT', 'A prompt has more tokens than the context holds.'),
  MODEL_UNKNOWN: row('NOT_FOUND', 'No model of that name is served here.'),
  MODEL_UNAVAILABLE: row('FAILED_PRECONDITION', 'The model files are not on this machine and could not be fetched.'),
  SAE_UNKNOWN: row('NOT_FOUND', 'No SAE is loaded for that layer.'),
  SAE_NOT_ADMITTED: row(
    'FAILED_PRECONDITION',
    'What was asked depends on numbers that AdmitSae measures: call it first.',
  ),
  FEATURE_UNKNOWN: row('NOT_FOUND', 'A feature id is outside its SAE.'),
  LAYER_UNKNOWN: row('INVALID_ARGUMENT', 'A layer is outside the model.'),
  MASK_WRONG_LENGTH: row('INVALID_ARGUMENT', 'A mask has another length than its bank has edits.'),
  BANK_UNKNOWN: row('FAILED_PRECONDITION', 'The bank named by digest is not cached on this pod: send it inline.'),
  REQUEST_INVALID: row('INVALID_ARGUMENT', 'A field of the request is missing or outside its range.'),
  REQUEST_TOO_LARGE: row('INVALID_ARGUMENT', 'The request can never fit the limits of this service.'),
  BUSY: row('RESOURCE_EXHAUSTED', 'The queue is full at this moment: try again later.', true),
  STARTING: row('UNAVAILABLE', 'The service is starting or stopping.', true),
  PEER_UNAVAILABLE: row('UNAVAILABLE', 'A service that this one needs does not answer.', true),
  CANCELLED: row('CANCELLED', 'The caller cancelled.'),
  DEADLINE: row('DEADLINE_EXCEEDED', 'The deadline passed before the work was done.'),
  AUDIT_UNKNOWN: row('NOT_FOUND', 'No audit has that id.'),
  AUDIT_STATE: row('FAILED_PRECONDITION', 'The audit is in a state in which this cannot be done.'),
  AUDIT_IMPOSSIBLE: row('FAILED_PRECONDITION', 'The model or prompts do not allow this audit (nothing refused, say).'),
  CHECKPOINT_CORRUPT: row('DATA_LOSS', 'A checkpoint on disk cannot be read.'),
  STORAGE_FULL: row('RESOURCE_EXHAUSTED', 'The disk that holds checkpoints is full: make room, then resume.'),
  REVISION_CONFLICT: row(
    'FAILED_PRECONDITION',
    'Another process wrote the value or took the lease in the meantime: read it again.',
  ),
  UNAUTHENTICATED: row('UNAUTHENTICATED', 'The call carries no valid token.'),
  FORBIDDEN: row('PERMISSION_DENIED', 'The token lacks the scope that this call needs.'),
  CONFIG_INVALID: row('INVALID_ARGUMENT', 'A setting from the environment, a file or a flag is not valid.'),
  SELF_TEST_FAILED: row(
    'FAILED_PRECONDITION',
    'Before serving, edits at several depths did not act as they must: the files, the runtime or the device are at fault.',
  ),
  UNSUPPORTED: row('UNIMPLEMENTED', 'This build or machine cannot do that.'),
  INTERNAL: row('INTERNAL', 'A defect in this project: the log has the cause under the request id.'),
} as const satisfies Record<string, FaultRow>;

export type FaultCode = keyof typeof FAULTS;

/** An error of this project: a coded text that may be shown to a caller. The cause is for our log alone. */
export class Fault extends Error {
  override readonly name = 'Fault';
  constructor(
    readonly code: FaultCode,
    message: string,
    options?: { cause?: unknown; readonly details?: Readonly<Record<string, string>> },
  ) {
    super(message, options);
    this.details = options?.details ?? {};
  }
  /** Machine-readable facts for the caller (field name, limit, given value). Never a prompt, an answer or a secret. */
  readonly details: Readonly<Record<string, string>>;
}

export const fault = (
  code: FaultCode,
  message: string,
  options?: { cause?: unknown; details?: Readonly<Record<string, string>> },
): Fault => new Fault(code, message, options);

export const isFault = (thrown: unknown, code?: FaultCode): thrown is Fault =>
  thrown instanceof Fault && (code === undefined || thrown.code === code);
