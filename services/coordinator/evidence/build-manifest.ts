/**
 * The manifest that an audit's stored files give. Written once at the end of the audit, built again by whoever verifies it. Never holds
 * prompt or answer text. Prevents: a report whose numbers can't be traced to evaluations.
 */
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import { digestSpec } from '../audit/audit-spec.js';
import type { StageResults } from '../stages/stage-results.js';
import { stagesOf } from '../stages/stages.js';
import type { AuditStore } from '../store/audit-store.js';
import { buildClaims } from './claims.js';
import { canonicalJson, encodeManifest, MANIFEST_SCHEMA, type ManifestEntry, sha256Of } from './manifest-lines.js';

/** Throws AUDIT_STATE before the audit has a report, CHECKPOINT_CORRUPT for a file that can't be read. */
export const collectEntries = async (store: AuditStore, auditId: string): Promise<ManifestEntry[]> => {
  const report = await store.readReport(auditId);
  if (report === undefined) throw fault('AUDIT_STATE', `Audit ${auditId} has no report yet: finish it first.`);
  const { stages, results } = await readStages(store, auditId);
  const evaluations = (await store.readEvaluations(auditId)).map(({ scope, record }) => {
    const { key, refusalScore } = EvaluationRecord.decode(record);
    const entry = { scope, key: Buffer.from(key).toString('hex'), score: refusalScore, sha256: sha256Of(record) };
    return { kind: 'evaluation' as const, ...entry };
  });
  const claims = buildClaims(results, evaluations).map((claim) => ({ kind: 'claim' as const, ...claim }));
  const header = {
    kind: 'header' as const,
    schema: MANIFEST_SCHEMA,
    auditId,
    specSha256: digestSpec(await store.readSpec(auditId)),
    provenance: results.describe.provenance,
  } as const;
  return [header, ...stages, ...evaluations, ...claims, { kind: 'report', sha256: sha256Of(report) }];
};

/** The stored results of all stages of a finished audit. Throws CHECKPOINT_CORRUPT if one is missing. */
export const readStages = async (
  store: AuditStore,
  auditId: string,
): Promise<{ stages: ManifestEntry[]; results: StageResults }> => {
  const stages: ManifestEntry[] = [];
  const results: Record<string, unknown> = {};
  for (const { name } of stagesOf(await store.readSpec(auditId))) {
    const outcome = (await store.readResult(auditId, name)) as { readonly result: unknown } | undefined;
    if (outcome === undefined) throw fault('CHECKPOINT_CORRUPT', `results/${name}.json is missing.`);
    stages.push({ kind: 'stage', name, sha256: sha256Of(canonicalJson(outcome)) });
    results[name] = outcome.result;
  }
  return { stages, results: results as unknown as StageResults };
};

export const writeManifest = async (store: AuditStore, auditId: string): Promise<void> =>
  store.writeEvidence(auditId, 'manifest.jsonl', encodeManifest(await collectEntries(store, auditId)));
