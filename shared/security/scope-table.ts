/**
 * Which scopes each RPC needs: one row a method of the contract (a test compares it with the descriptor set). A method without a row is
 * refused. Prevents: a new RPC that anyone may call because nobody thought of it.
 */
import type { BankReference } from '../../proto/gen/refusalscope/v1/types.js';
import type { Scope } from './principal.js';

interface ScopeRow {
  readonly needs: readonly Scope[];
  /** With a bank in the request, `intervene` too. */
  readonly mayEdit?: true;
}

const read: ScopeRow = { needs: ['read'] };
/** Reads, and edits the model where the request brings a bank. */
const readOrEdit: ScopeRow = { needs: ['read'], mayEdit: true };
/** Edits the model whatever the request says. */
const edit: ScopeRow = { needs: ['read', 'intervene'] };
const control: ScopeRow = { needs: ['audit'] };
/** An audit edits the model thousands of times. */
const runAudit: ScopeRow = { needs: ['audit', 'intervene'] };

const PACKAGE = '/refusalscope.v1.';

const ROWS: Readonly<Record<string, ScopeRow>> = {
  'InferenceService/DescribeModel': read,
  'InferenceService/Tokenize': read,
  'InferenceService/CaptureResiduals': readOrEdit,
  'InferenceService/EvaluateMasks': readOrEdit,
  'InferenceService/Generate': readOrEdit,
  'InferenceService/MeasureCrossEntropy': readOrEdit,
  'SaeService/ListSaes': read,
  'SaeService/Encode': read,
  'SaeService/FindNearestFeatures': read,
  'SaeService/GetEditRows': read,
  // Stores a verdict that reports show.
  'SaeService/AdmitSae': control,
  'SearchService/CalibrateOpeners': read,
  'SearchService/FindDirections': edit,
  'SearchService/RankCandidates': read,
  'SearchService/ProfileDepth': edit,
  'SearchService/FilterPrompt': edit,
  'SearchService/FindDormant': edit,
  'SearchService/SampleMasks': edit,
  'SearchService/MeasureInteractions': edit,
  'SearchService/VerifyFlips': edit,
  'SearchService/RunControls': edit,
  'SearchService/EnumerateMinimalSets': edit,
  'SearchService/TraceHydra': edit,
  'SearchService/TestSufficiency': edit,
  'SearchService/MeasureCost': edit,
  'SearchService/RankFeatures': read,
  'SearchService/MeasureRankings': edit,
  'FmService/Fit': read,
  'FmService/DesignMasks': read,
  'CoordinatorService/CreateAudit': runAudit,
  'CoordinatorService/GetAudit': read,
  'CoordinatorService/ListAudits': read,
  'CoordinatorService/WatchAudit': read,
  'CoordinatorService/CancelAudit': control,
  'CoordinatorService/ResumeAudit': runAudit,
  'CoordinatorService/GetReport': read,
  'CoordinatorService/CompareAudits': read,
};

/** Paths of all methods with a row, such as "/refusalscope.v1.SaeService/Encode". */
export const SCOPED_PATHS: readonly string[] = Object.keys(ROWS).map((name) => PACKAGE + name);

/** What a call needs; undefined for a method without a row. */
export const scopesFor = (path: string, request: unknown): readonly Scope[] | undefined => {
  const row = path.startsWith(PACKAGE) ? ROWS[path.slice(PACKAGE.length)] : undefined;
  if (row === undefined) return undefined;
  return row.mayEdit && bankOf(request) !== undefined ? [...row.needs, 'intervene'] : row.needs;
};

/** The bank that a request brings; an inline bank without edits is none. */
export const bankOf = (request: unknown): BankReference['bank'] => {
  const bank = (request as { readonly bank?: BankReference | undefined }).bank?.bank;
  return bank?.$case === 'inline' && bank.value.layers.length === 0 ? undefined : bank;
};
