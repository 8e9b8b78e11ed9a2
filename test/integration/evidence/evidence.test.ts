import { generateKeyPairSync } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EvaluationRecord } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodeManifest, readManifest } from '../../../services/coordinator/evidence/manifest-lines.js';
import { findClaim, listClaims, replayClaim } from '../../../services/coordinator/evidence/replay-claim.js';
import { signManifest } from '../../../services/coordinator/evidence/signature.js';
import { verifyManifest } from '../../../services/coordinator/evidence/verify-manifest.js';
import { openPeers } from '../../../services/coordinator/peers/open-peers.js';
import { encodeFrame, readEvaluationLog } from '../../../services/coordinator/store/evaluation-log.js';
import { FileAuditStore } from '../../../services/coordinator/store/file-audit-store.js';
import { specOf } from '../coordinator/audit-spec-fixture.js';
import { CoordinatorBench, caught, create, watchToEnd } from '../coordinator/coordinator-bench.js';

let bench: CoordinatorBench;
let store: FileAuditStore;
let id: string;

beforeAll(async () => {
  bench = await CoordinatorBench.open();
  const { client } = await bench.start();
  id = await create(client, specOf(2));
  await watchToEnd(client, id);
  store = new FileAuditStore(join(bench.folder, 'audits'));
});
afterAll(() => bench.close());

const pathOf = (name: string) => join(bench.folder, 'audits', id, name);
const problems = async () => (await verifyManifest(store, id)).problems;

/** Changes a file, asks, and puts the file back. */
const withChanged = async <Value>(name: string, change: (bytes: Buffer) => Buffer, ask: () => Promise<Value>) => {
  const before = await readFile(pathOf(name));
  await writeFile(pathOf(name), change(Buffer.from(before)));
  return ask().finally(() => writeFile(pathOf(name), before));
};
const flip = (at: (bytes: Buffer) => number) => (bytes: Buffer) => {
  bytes.writeUInt8(bytes.readUInt8(at(bytes)) ^ 1, at(bytes));
  return bytes;
};

describe('the manifest of an audit', () => {
  it('is written at the end, names every evaluation, holds no prompt text, and verifies', async () => {
    const verdict = await verifyManifest(store, id);
    expect(verdict).toMatchObject({ problems: [], signature: 'none' });
    expect(verdict.evaluations).toBe((await readEvaluationLog(pathOf('evaluations.binlog'))).length);
    expect(verdict.evaluations).toBeGreaterThan(40);
    expect(await readFile(pathOf('manifest.jsonl'), 'utf8')).not.toContain('What about');
  });

  it.each([
    ['spec.json', 'spec.json with results/describe.json'],
    ['results/filter.json', 'results/filter.json'],
    ['results/controls.json', 'results/controls.json'],
    ['report.json', 'report.json'],
  ])('one changed digit in %s is found and the file named', async (name, said) => {
    const change = (bytes: Buffer) =>
      Buffer.from(bytes.toString('utf8').replace(/:(\d)/, (_, digit) => `:${(Number(digit) + 1) % 10}`));
    const spec = (bytes: Buffer) => Buffer.from(bytes.toString('utf8').replace('What about', 'Whet about'));
    const found = await withChanged(name, name === 'spec.json' ? spec : change, problems);
    expect(found.join('\n')).toContain(`says something else than ${said}`);
  });

  it('one changed byte in the evaluations is found', async () => {
    const found = await withChanged(
      'evaluations.binlog',
      flip((bytes) => bytes.length >> 1),
      problems,
    );
    expect(found.join('\n')).toMatch(/manifest\.jsonl line \d+: evaluations\.binlog has no evaluation [0-9a-f]{64}/);
  });

  it('two evaluations whose scores were swapped, checksums and all, are both named', async () => {
    const stored = await readEvaluationLog(pathOf('evaluations.binlog'));
    const records = stored.map(({ record }) => EvaluationRecord.decode(record));
    const other = records.findIndex(({ refusalScore }) => refusalScore !== records[0]!.refusalScore);
    const swapped = stored.map(({ scope, record }, i) => {
      const from = i === 0 ? other : i === other ? 0 : undefined;
      if (from === undefined) return { scope, record };
      const refusalScore = records[from]!.refusalScore;
      return { scope, record: EvaluationRecord.encode({ ...records[i]!, refusalScore }).finish() };
    });
    const found = await withChanged('evaluations.binlog', () => Buffer.concat(swapped.map(encodeFrame)), problems);
    for (const i of [0, other]) expect(found.join('\n')).toContain(`(evaluation ${records[i]!.key.toString('hex')} of`);
  });

  it.each(['header', 'stage', 'evaluation', 'claim', 'report'])(
    'one changed byte in a line of kind %s is found and the line named',
    async (kind) => {
      const lines = (await readFile(pathOf('manifest.jsonl'), 'utf8')).split('\n');
      const at = lines.findIndex((line) => line.includes(`"kind":"${kind}"`));
      const offset = lines.slice(0, at).join('\n').length + (at > 0 ? 1 : 0);
      for (const inLine of [3, Math.floor(lines[at]!.length / 2), lines[at]!.length - 4]) {
        const found = await withChanged(
          'manifest.jsonl',
          flip(() => offset + inLine),
          problems,
        );
        expect(found.join('\n')).toMatch(new RegExp(`line ${at + 1}\\b`));
      }
    },
  );

  it('a line that is gone is found', async () => {
    const drop = (bytes: Buffer) => Buffer.from(bytes.toString('utf8').split('\n').toSpliced(20, 1).join('\n'));
    const found = await withChanged('manifest.jsonl', drop, problems);
    expect(found[0]).toBe(
      'manifest.jsonl line 21 carries another hash than that of line 20: one of the two was changed',
    );
    expect(found.join('\n')).toContain('manifest.jsonl lacks a line for evaluation');
  });

  it('a signature counts for its key alone, and for this manifest alone', async () => {
    const pair = () =>
      generateKeyPairSync('ed25519', {
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
      });
    const [own, other] = [pair(), pair()];
    const missing = await verifyManifest(store, id, own.publicKey);
    expect(missing.problems).toEqual(['manifest.sig is missing']);
    const text = await readFile(pathOf('manifest.jsonl'), 'utf8');
    await store.writeEvidence(id, 'manifest.sig', signManifest(text, own.privateKey));
    expect(await verifyManifest(store, id, own.publicKey)).toMatchObject({ problems: [], signature: 'valid' });
    const wrong = ['manifest.sig is no signature of manifest.jsonl by this key'];
    expect(await verifyManifest(store, id, other.publicKey)).toMatchObject({ problems: wrong, signature: 'wrong' });
    const changed = await withChanged(
      'manifest.jsonl',
      flip((bytes) => bytes.length - 10),
      () => verifyManifest(store, id, own.publicKey),
    );
    expect(changed.signature).toBe('wrong');
    expect(() => signManifest(text, 'no key')).toThrow('The key is no ed25519 key in PEM.');
  });
});

describe('replay of a claim', () => {
  const replay = async (claimId: string) => {
    const peers = openPeers(bench.peers.addresses);
    const options = { store, auditId: id, peers, signal: new AbortController().signal };
    return replayClaim(options, await findClaim(store, id, claimId)).finally(() => peers.close());
  };

  it('recomputes the evaluations that the claim names, and it holds', async () => {
    const before = [...bench.peers.runs.values()].reduce((sum, count) => sum + count, 0);
    const { holds, numbers } = await replay('minimal-set/h0');
    expect(holds).toBe(true);
    expect(numbers.map(({ stored, recomputed }) => [stored, recomputed])).toEqual([
      [5, 5],
      [-1.02, -1.02],
    ]);
    expect(numbers[1]?.sameEvaluation).toBe(true);
    expect([...bench.peers.runs.values()].reduce((sum, count) => sum + count, 0)).toBe(before + 2);
  });

  it('a stored number that the model does not give does not hold', async () => {
    // The scripted filter claims 2; the scripted model gives 5 - 3 - 0.01.
    const { holds, numbers } = await replay('restore/h0/1-0');
    expect(holds).toBe(false);
    expect(numbers[0]).toMatchObject({ stored: 2, recomputed: 1.99, agrees: false });
  });

  it('a claim that names another evaluation does not hold', async () => {
    const swap = (bytes: Buffer) => {
      const entries = readManifest(bytes.toString('utf8')).entries.map(({ entry }) =>
        entry.kind === 'claim' && entry.type === 'scores'
          ? { ...entry, scores: entry.scores.map((score) => ({ ...score, evaluations: ['00'.repeat(32)] })) }
          : entry,
      );
      return Buffer.from(encodeManifest(entries));
    };
    const { holds, numbers } = await withChanged('manifest.jsonl', swap, () => replay('minimal-set/h0'));
    expect(holds).toBe(false);
    expect(numbers[1]).toMatchObject({ stored: -1.02, recomputed: -1.02, sameEvaluation: false });
  });

  it('runs a control again', async () => {
    expect(await replay('control/randomFeatures')).toMatchObject({ holds: true });
  });

  it('checks every further way of a family by its own evaluations', async () => {
    const { holds, numbers } = await replay('family-set/h0/1');
    expect(holds).toBe(true);
    expect(numbers.map(({ stored, sameEvaluation }) => [stored, sameEvaluation])).toEqual([
      [5, true],
      [-1.02, true],
    ]);
  });

  it.each(['family/h0', 'hydra', 'hydra/2-7', 'hydra-strongest/2-7', 'sufficiency/h1', 'cost/h0'])(
    'runs the stage behind %s again, with nothing known, and it holds',
    async (claim) => {
      const before = [...bench.peers.runs.values()].reduce((sum, count) => sum + count, 0);
      expect(await replay(claim)).toMatchObject({ holds: true });
      expect([...bench.peers.runs.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThan(before);
    },
  );

  it('a stage that finds something else now does not hold, nor a claim that it no longer makes', async () => {
    const change = (name: string, value: number) => (bytes: Buffer) => {
      const entries = readManifest(bytes.toString('utf8')).entries.map(({ entry }) =>
        entry.kind === 'claim' && entry.type === 'stage'
          ? { ...entry, numbers: entry.numbers.map((number) => (number.name === name ? { name, value } : number)) }
          : entry,
      );
      return Buffer.from(encodeManifest(entries));
    };
    const deeper = await withChanged('manifest.jsonl', change('depth of defence', 3), () => replay('family/h0'));
    expect(deeper.holds).toBe(false);
    expect(deeper.numbers.find(({ agrees }) => !agrees)).toMatchObject({ name: 'depth of defence', recomputed: 2 });
    const rename = (bytes: Buffer) =>
      Buffer.from(
        encodeManifest(
          readManifest(bytes.toString('utf8')).entries.map(({ entry }) =>
            entry.kind === 'claim' && entry.id === 'hydra/2-7' ? { ...entry, id: 'hydra/2-8' } : entry,
          ),
        ),
      );
    const gone = await withChanged('manifest.jsonl', rename, () => replay('hydra/2-8'));
    expect(gone.holds).toBe(false);
    expect(gone.numbers.every(({ recomputed }) => Number.isNaN(recomputed))).toBe(true);
  });

  it('refuses other model files, and a claim that is not there', async () => {
    expect((await listClaims(store, id)).map((claim) => claim.id)).toContain('minimal-set/h1');
    expect(await caught(replay('minimal-set/none'))).toMatchObject({ code: 'REQUEST_INVALID' });
    bench.peers.script.weightsSha256 = 'bb';
    const refused = await caught(replay('minimal-set/h0'));
    bench.peers.script.weightsSha256 = 'aa';
    expect(refused).toMatchObject({ code: 'AUDIT_STATE' });
    expect(refused.message).toContain('now served: weights bb');
  });
});
