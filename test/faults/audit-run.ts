/** One small audit on a mesh of processes, with a moment at which harm is done, and everything that can be compared afterwards. */
import { AuditState } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { EvaluationRecord } from '../../proto/gen/refusalscope/v1/search.js';
import type { AuditEvent } from '../../services/coordinator/audit/audit-event.js';
import type { Report } from '../../services/coordinator/report/report-type.js';
import { BusAuditStore } from '../../services/coordinator/store/bus-audit-store.js';
import type { FileAuditStore } from '../../services/coordinator/store/file-audit-store.js';
import { connectNatsBus } from '../../shared/bus/nats/connect-nats-bus.js';
import { isFault } from '../../shared/errors/fault.js';
import { silentLogger } from '../../shared/log/create-logger.js';
import { type Coordinator, countBegun, NAMESPACE, type ServiceMesh } from './service-mesh.js';

/** Most evaluations are asked for here, prompt by prompt, several at once. */
export const STRIKE_STAGE = 'filter';

const POLL_MS = 20;
const LIMIT_MS = 300_000;

export interface AuditEvidence {
  readonly report: Report;
  /** Keys of the evaluations in the checkpoint: what was asked for and answered. */
  readonly keys: ReadonlySet<string>;
  readonly begun: number;
  readonly seconds: number;
}

export interface StruckRun {
  readonly evidence: AuditEvidence;
  readonly recoveryMs: number;
}

/** `strike` does its harm and gives the ms until the audit had recovered from it. */
export const runStruck = async (
  mesh: ServiceMesh,
  coordinators: readonly Coordinator[],
  strike: (auditId: string) => Promise<number>,
): Promise<StruckRun> => {
  const startedAt = performance.now();
  const { audit } = await coordinators[0]!.client.createAudit({ spec: mesh.subject.spec, requestId: '' });
  const id = audit!.id;
  await untilAudit(coordinators, id, ({ stage, state }) => {
    if (state !== AuditState.AUDIT_STATE_RUNNING) throw new Error(`the audit was over before ${STRIKE_STAGE}`);
    return stage === STRIKE_STAGE;
  });
  const recoveryMs = await unlessItFails(coordinators, id, strike(id));
  const ended = await untilAudit(coordinators, id, ({ state }) => state !== AuditState.AUDIT_STATE_RUNNING);
  if (ended.state !== AuditState.AUDIT_STATE_SUCCEEDED) throw new Error(`the audit ended otherwise: ${ended.error}`);
  const seconds = (performance.now() - startedAt) / 1000;
  const store = await openBusStore(mesh);
  try {
    return { evidence: await gather(store.store, id, mesh, seconds), recoveryMs };
  } finally {
    await store.close();
  }
};

/** An audit that fails never recovers: told at once, with its error. */
export const unlessItFails = async (coordinators: readonly Coordinator[], id: string, struck: Promise<number>) => {
  let isOver = false;
  const failed = untilAudit(coordinators, id, ({ state }) => isOver || state === AuditState.AUDIT_STATE_FAILED, 500);
  const recovered = struck.finally(() => {
    isOver = true;
  });
  return Promise.race([
    recovered,
    failed.then(({ error }) => {
      if (isOver) return recovered;
      throw new Error(`the audit failed: ${error}`);
    }),
  ]);
};

export const gather = async (
  store: Pick<BusAuditStore | FileAuditStore, 'readReport' | 'readEvents' | 'readEvaluations'>,
  id: string,
  mesh: ServiceMesh,
  seconds: number,
): Promise<AuditEvidence> => {
  const events = await untilEnded(() => store.readEvents(id, 0));
  if (events.some(({ sequence }, i) => sequence !== i + 1)) throw new Error('the events have gaps');
  const ends = events.filter((event) => event.kind === 'ended' && event.state === 'succeeded').length;
  if (ends !== 1) throw new Error(`the audit succeeded ${ends} times`);
  const evaluations = await store.readEvaluations(id);
  return {
    report: JSON.parse((await store.readReport(id)) ?? 'null') as Report,
    keys: new Set(evaluations.map(({ record }) => EvaluationRecord.decode(record).key.toString('hex'))),
    begun: countBegun(mesh.workers),
    seconds,
  };
};

/** The record tells of the end a moment before the last event is stored. */
const untilEnded = async (read: () => Promise<AuditEvent[]>): Promise<AuditEvent[]> => {
  for (const deadline = performance.now() + 5_000; ; ) {
    const events = await read();
    if (events.at(-1)?.kind === 'ended' || performance.now() > deadline) return events;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

export const openBusStore = async (mesh: ServiceMesh) => {
  const bus = await connectNatsBus({ servers: [mesh.server.url], namespace: NAMESPACE, logger: silentLogger });
  const store = await BusAuditStore.open(bus, { holder: 'fault run', termMs: 10_000 });
  return { bus, store, close: () => bus.close() };
};

type AuditFacts = NonNullable<Awaited<ReturnType<Coordinator['client']['getAudit']>>['audit']>;

/** Asks whichever coordinator answers. */
export const untilAudit = async (
  coordinators: readonly Coordinator[],
  id: string,
  fits: (audit: AuditFacts) => boolean,
  pollMs = POLL_MS,
): Promise<AuditFacts> => {
  const deadline = performance.now() + LIMIT_MS;
  while (performance.now() < deadline) {
    for (const { client } of coordinators) {
      const audit = await client.getAudit({ id }, { deadlineMs: 2_000 }).then(
        (response) => response.audit,
        (thrown: unknown) => {
          if (isFault(thrown)) return undefined;
          throw thrown;
        },
      );
      if (audit !== undefined && fits(audit)) return audit;
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new Error(`audit ${id} did not get there in ${LIMIT_MS / 1000} s`);
};

// What float32 sums of another batch size may change, as in test/e2e; on the planted model nothing does.
const ROUNDING = 5e-5;

/** The report without what docs/report.md declares volatile: `run`, and the id. */
const comparable = ({ run: _run, audit, ...rest }: Report) => ({ ...rest, audit: { ...audit, id: '' } });

export interface Comparison {
  readonly identical: boolean;
  /** Greatest difference of two numbers, relative to the larger of 1 and the number; 0: equal to the bit. */
  readonly maxDifference: number;
}

export const compareReports = (a: Report, b: Report): Comparison => {
  const maxDifference = differenceOf(comparable(a), comparable(b));
  return { identical: maxDifference <= ROUNDING, maxDifference };
};

const differenceOf = (a: unknown, b: unknown): number => {
  if (typeof a === 'number' && typeof b === 'number') return Math.abs(a - b) / Math.max(1, Math.abs(a));
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b ? 0 : Infinity;
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = new Set([...Object.keys(left), ...Object.keys(right)]);
  return Math.max(0, ...[...keys].map((key) => differenceOf(left[key], right[key])));
};
