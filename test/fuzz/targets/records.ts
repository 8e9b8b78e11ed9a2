/** What audits leave behind and is read again: report, manifest, evaluations, checkpoints, the audit log, messages of the bus. */
import { readFileSync, writeFileSync } from 'node:fs';
import { DeadLetter, EvaluationWork } from '../../../proto/gen/refusalscope/v1/bus.js';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import { renderReport } from '../../../services/console/report/render-report.js';
import { encodeManifest, readManifest } from '../../../services/coordinator/evidence/manifest-lines.js';
import { parseReport } from '../../../services/coordinator/report/parse-report.js';
import { decodeLog, encodeFrame } from '../../../services/coordinator/store/evaluation-log.js';
import { FileAuditStore } from '../../../services/coordinator/store/file-audit-store.js';
import { readValue, writeValue } from '../../../services/coordinator/store/split-values.js';
import { createLocalBus } from '../../../shared/bus/local/create-local-bus.js';
import { decodeDeadLetter, decodeOutcome, encodeFailure, encodeResult } from '../../../shared/bus/work-messages.js';
import { decodeRichStatus, encodeRichStatus } from '../../../shared/rpc/rich-status.js';
import { openAuditLog } from '../../../shared/security/audit-log.js';
import { verifyAuditLog } from '../../../shared/security/verify-audit-log.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateMessage } from '../mutate/mutate-message.js';
import { createScratchFiles } from './scratch-files.js';
import { seedJson } from './seeds.js';

export const report: FuzzTarget = {
  name: 'report',
  reads: 'report.json, checked and made into its page',
  weight: 1,
  shortCases: 10,
  open: () => {
    const seed = seedJson('console/report.json');
    return {
      make: (random) => ({ 'report.json': mutateJsonText(random, seed, 3) }),
      decode: (input) => renderReport(parseReport(Buffer.from(input['report.json']!).toString('utf8'))).length > 0,
    };
  },
};

const HASH = 'ab'.repeat(32);

export const manifest: FuzzTarget = {
  name: 'manifest',
  reads: 'manifest.jsonl',
  weight: 20,
  shortCases: 130,
  open: () => {
    const text = encodeManifest([
      { kind: 'header', schema: 'refusalscope.manifest/1', auditId: 'a', specSha256: HASH, provenance: { model: 'm' } },
      { kind: 'stage', name: 'describe', sha256: HASH },
      { kind: 'evaluation', scope: 'prompt:p', key: HASH, score: -1.5, sha256: HASH },
      { kind: 'report', sha256: HASH },
    ]);
    const lines = text.trimEnd().split('\n');
    return {
      make: (random) => {
        const at = random.below(lines.length);
        const line = (): Buffer => mutateJsonText(random, JSON.parse(lines[at]!) as Json);
        const changed = lines.map((old, i) => (i === at ? line() : Buffer.from(old)));
        const whole = Buffer.concat(changed.flatMap((bytes) => [bytes, Buffer.from('\n')]));
        return { 'manifest.jsonl': chance(random, 0.3) ? mutateBytes(random, [Buffer.from(text)]) : whole };
      },
      decode: (input) => {
        const { entries, problems } = readManifest(Buffer.from(input['manifest.jsonl']!).toString('utf8'));
        if (entries.some(({ entry }) => typeof entry.kind !== 'string')) throw new Error('an entry of no kind');
        return problems.length === 0;
      },
    };
  },
};

export const evaluationLog: FuzzTarget = {
  name: 'evaluation-log',
  reads: 'evaluations.binlog and the records in it',
  weight: 20,
  shortCases: 130,
  open: () => {
    const record = EvaluationRecord.encode(
      EvaluationRecord.fromPartial({
        key: Buffer.alloc(32, 3),
        refusalScore: 1.5,
        proof: [{ layer: 3, deltaNorm: 2 }],
      }),
    ).finish();
    const frames = ['prompt:a', 'stage:filter', ''].map((scope) => encodeFrame({ scope, record }));
    return {
      make: (random) => {
        // Half of the frames are put around a changed record, so that their checksums are right.
        if (chance(random, 0.5)) return { log: mutateBytes(random, [Buffer.concat(frames)]) };
        const changed = encodeFrame({ scope: 'prompt:a', record: mutateMessage(random, [record]) });
        return { log: Buffer.concat([frames[0]!, changed, frames[1]!]) };
      },
      decode: ({ log }) => {
        const { evaluations, soundBytes } = decodeLog(Buffer.from(log!));
        if (soundBytes > log!.length) throw new Error('more sound bytes than bytes');
        const again = Buffer.concat(evaluations.map(encodeFrame));
        // A scope that is no UTF-8 is written otherwise; its length tells.
        if (again.length < soundBytes) throw new Error('what was read is shorter when written');
        return soundBytes === log!.length;
      },
    };
  },
};

const RECORD: Json = {
  id: 'audit-1',
  title: 't',
  requestId: '',
  specSha256: HASH,
  state: 'running',
  stage: '',
  createdAt: '2026-11-20T09:12:44.000Z',
  updatedAt: '2026-11-20T09:12:44.000Z',
  error: '',
  evaluations: 1,
  evaluationsReused: 0,
  seconds: 1,
  resumed: 0,
  finishedStages: [{ stage: 's', seconds: 1, evaluations: 1 }],
};
const SPEC: Json = {
  model: 'm',
  title: '',
  prompts: [{ id: 'p', label: 'harmful', category: '', input: { text: 'x' } }],
  searchPromptIds: [],
  maxSearchPrompts: 0,
  layers: [],
  growth: [10],
  filterMethod: 'group',
  positions: { span: 'all', start: 0, end: 0, includeBos: false },
  fmMasks: 1,
  fmFeatures: 2,
  seed: 0,
  controlDraws: 1,
  maxNewTokens: 1,
  openers: [],
  redactAnswers: false,
};
const EVENT: Json = { sequence: 1, time: '2026-11-20T09:13:00.000Z', kind: 'ended', state: 'failed', error: '' };

export const checkpoints: FuzzTarget = {
  name: 'checkpoints',
  reads: 'state.json, spec.json, results, events.jsonl of an audit on disk; parts of values on the bus',
  weight: 2,
  shortCases: 30,
  open: async (scratch) => {
    const write = createScratchFiles(scratch);
    const store = new FileAuditStore(scratch);
    const files = {
      'state.json': RECORD,
      'spec.json': SPEC,
      'results/describe.json': { result: RECORD },
      'events.jsonl': EVENT,
    };
    const sound = Object.fromEntries(
      Object.entries(files).map(([name, value]) => [`audit-1/${name}`, Buffer.from(`${JSON.stringify(value)}\n`)]),
    );
    const names = Object.keys(files) as (keyof typeof files)[];
    const bus = createLocalBus();
    const values = await bus.checkpoints('fuzz');
    await writeValue(values, 'value', Buffer.alloc(10, 1));
    return {
      make: (random) => {
        const name = one(random, names);
        const head = Buffer.from(`\x01${JSON.stringify({ digest: HASH, parts: 2 })}`);
        return {
          ...sound,
          [`audit-1/${name}`]: mutateJsonText(random, files[name]),
          head: mutateBytes(random, [head]),
        };
      },
      decode: async ({ head, ...input }) => {
        write(input);
        await store.list();
        await store.readRecord('audit-1');
        await store.readSpec('audit-1');
        await store.readResult('audit-1', 'describe');
        for (const { sequence } of await store.readEvents('audit-1', 0))
          if (!Number.isSafeInteger(sequence)) throw new Error('an event without a number');
        await values.put('value', head!);
        return (await readValue(values, 'value')) !== undefined;
      },
      close: () => bus.close(),
    };
  },
};

export const auditLog: FuzzTarget = {
  name: 'audit-log',
  reads: 'the audit log: verified, and gone on with',
  weight: 1,
  shortCases: 20,
  open: async (scratch) => {
    const path = `${scratch}/audit.log`;
    const log = await openAuditLog(path, () => new Date(0));
    for (const event of ['start', 'edit', 'stop']) await log.append({ event, features: ['3/5'] });
    await log.close();
    const seed = readFileSync(path);
    const lines = seed.toString('utf8').trimEnd().split('\n');
    return {
      make: (random) => {
        if (chance(random, 0.5)) return { log: mutateBytes(random, [seed]) };
        const at = random.below(lines.length);
        const changed = lines.map((line, i) =>
          i === at ? mutateJsonText(random, JSON.parse(line) as Json) : Buffer.from(line),
        );
        return { log: Buffer.concat(changed.flatMap((bytes) => [bytes, Buffer.from('\n')])) };
      },
      decode: async ({ log: bytes }) => {
        writeFileSync(path, bytes!);
        const { sound } = await verifyAuditLog(path);
        const again = await openAuditLog(path, () => new Date(0));
        await again.append({ event: 'next' });
        await again.close();
        return sound;
      },
    };
  },
};

/** As the worker reads it: what cannot be decoded is a poison item, told by its error. */
const readWork = (bytes: Uint8Array): boolean => {
  try {
    return EvaluationWork.decode(bytes).prompts.length > 0;
  } catch {
    return false;
  }
};

export const busMessages: FuzzTarget = {
  name: 'bus-messages',
  reads: 'outcomes, dead letters, work items and status details as messages',
  weight: 20,
  shortCases: 160,
  open: () => {
    const failure = { code: 'BUSY', text: 'later', deliveries: 2 } as const;
    const letter = DeadLetter.encode(
      DeadLetter.fromPartial({ queue: 'q', workId: 'w', failure, payload: Buffer.of(1) }),
    ).finish();
    const outcomes = [encodeResult(Buffer.of(1, 2)), encodeFailure(failure)];
    const work = EvaluationWork.encode(
      EvaluationWork.fromPartial({
        model: 'm',
        prompts: [{ id: 'p' }],
        evaluations: [{ promptIndex: 0, mask: { bits: Buffer.of(1) } }],
      }),
    ).finish();
    const rich = encodeRichStatus({
      status: 3,
      message: '',
      reason: 'BUSY',
      domain: 'refusalscope',
      requestId: 'r',
      details: { a: 'b' },
    });
    return {
      make: (random) =>
        one<() => Record<string, Uint8Array>>(random, [
          () => ({ outcome: mutateMessage(random, outcomes) }),
          () => ({ letter: mutateMessage(random, [letter]) }),
          () => ({ work: mutateMessage(random, [work]) }),
          () => ({ rich: mutateMessage(random, [rich]) }),
        ])(),
      decode: ({ outcome, letter: dead, work: item, rich: details }) => {
        if (details !== undefined) return decodeRichStatus(details) !== undefined;
        if (outcome !== undefined) return typeof decodeOutcome(outcome, 1).kind === 'string';
        if (dead !== undefined) return decodeDeadLetter(dead).time instanceof Date;
        return readWork(item!);
      },
    };
  },
};
