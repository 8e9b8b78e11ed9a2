import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { globPattern, nearestL0, SHORTCUTS } from '../../../shared/hub/hub-shortcuts.js';
import { pullRepository } from '../../../shared/hub/pull-repository.js';
import { COMMIT, type FakeFile, type FakeHub, startFakeHub } from './fake-hub.js';

const REPO = 'someone/tiny';
const weights = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251));
const FILES: Record<string, FakeFile> = {
  'config.json': { content: Buffer.from('{"model_type":"llama"}') },
  'model.safetensors': { content: weights, large: true },
  'pytorch_model.bin': { content: Buffer.from('pickle'), large: true },
  'original/consolidated.00.safetensors': { content: Buffer.from('again'), large: true },
};

let cacheDir: string;
let hub: FakeHub;
beforeEach(() => {
  cacheDir = mkdtempSync(join(tmpdir(), 'refusalscope-hub-'));
});
afterEach(() => {
  hub.close();
  rmSync(cacheDir, { recursive: true });
});

const start = async (files: Record<string, FakeFile> = FILES) => {
  hub = await startFakeHub(REPO, files);
};
const pull = (change: Partial<Parameters<typeof pullRepository>[0]> = {}) =>
  pullRepository({ repo: REPO, revision: 'main', cacheDir, hubUrl: hub.url, retryDelayMs: 1, ...change });

describe('Pulling a repository', () => {
  it('brings its files, without pickles and second copies, into a folder named by the commit', async () => {
    await start();
    const pulled = await pull();
    expect(pulled).toMatchObject({ commit: COMMIT, files: 2, bytes: 200_022, offline: false });
    expect(pulled.folder).toBe(join(cacheDir, 'hub', REPO, COMMIT));
    expect(readFileSync(join(pulled.folder, 'model.safetensors')).equals(weights)).toBe(true);
    expect(existsSync(join(pulled.folder, 'pytorch_model.bin'))).toBe(false);
    expect(existsSync(join(pulled.folder, 'original'))).toBe(false);
  });

  it('goes on where a transfer was cut, twice', async () => {
    await start();
    hub.cuts = [60_000, 50_000];
    const pulled = await pull({ include: [globPattern('model.safetensors')] });
    expect(readFileSync(join(pulled.folder, 'model.safetensors')).equals(weights)).toBe(true);
    const starts = hub.asked.map((request) => Number(request.split(' ')[1]?.split('-')[0]));
    expect(starts).toHaveLength(3);
    expect(starts[0]).toBe(0);
    expect(starts[1]).toBeGreaterThan(0);
    expect(starts[2]).toBeGreaterThan(starts[1]!);
  });

  it('goes on where an earlier pull gave up', async () => {
    await start();
    hub.cuts = [90_000, 0, 0, 0, 0, 0];
    const include = [globPattern('model.safetensors')];
    await expect(pull({ include })).rejects.toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: expect.stringMatching(/broke off at \d+ of 200000 bytes, 4 times. What is there is kept/),
    });
    hub.cuts = [];
    hub.asked.length = 0;
    const pulled = await pull({ include });
    expect(Number(hub.asked[0]?.split(' ')[1]?.split('-')[0])).toBeGreaterThan(0);
    expect(readFileSync(join(pulled.folder, 'model.safetensors')).equals(weights)).toBe(true);
  });

  it.each([
    ['sha256', true],
    ['git-sha1', false],
  ])('never keeps a file whose %s is not what the hub says', async (kind, large) => {
    const served = Buffer.from(weights);
    served[1234]! ^= 1;
    await start({ 'model.safetensors': { content: weights, large, served } });
    await expect(pull()).rejects.toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: expect.stringMatching(
        new RegExp(`^model.safetensors of someone/tiny has the ${kind} [0-9a-f]+; the hub says`),
      ),
    });
    const folder = join(cacheDir, 'hub', REPO, COMMIT);
    expect(existsSync(join(folder, 'model.safetensors'))).toBe(false);
    expect(existsSync(join(folder, 'model.safetensors.part'))).toBe(false);
  });

  it('asks again after a busy hub', async () => {
    await start();
    hub.failures = 2;
    expect((await pull({ include: [globPattern('config.json')] })).files).toBe(1);
  });

  it('works offline once a commit is complete, and asks the hub again when a file of it is gone', async () => {
    await start();
    const { folder } = await pull({ revision: COMMIT });
    hub.requests = 0;
    expect(await pull({ revision: COMMIT })).toMatchObject({ offline: true, files: 2 });
    expect(hub.requests).toBe(0);
    rmSync(join(folder, 'config.json'));
    expect(await pull({ revision: COMMIT })).toMatchObject({ offline: false, files: 2 });
    expect(existsSync(join(folder, 'config.json'))).toBe(true);
  });

  it('sends the token, and says what to do without one', async () => {
    await start();
    hub.token = 'hf_of-a-test';
    await expect(pull()).rejects.toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: expect.stringContaining('accept it on its page and set HF_TOKEN'),
    });
    expect((await pull({ token: 'hf_of-a-test' }).catch((thrown: Error) => thrown)) as object).toHaveProperty(
      'files',
      2,
    );
  });

  it('names a token that cannot be one', async () => {
    await start();
    await expect(pull({ token: 'nonsense' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: 'HF_TOKEN must begin with "hf_".',
    });
    expect(hub.requests).toBe(0);
  });

  it('refuses a path that leaves the folder', async () => {
    await start({ '../../evil.txt': { content: Buffer.from('x') } });
    await expect(pull()).rejects.toMatchObject({
      code: 'MODEL_UNAVAILABLE',
      message: expect.stringContaining('lists a file whose path cannot be used here'),
    });
  });

  it('of an unknown repository, of no repository, or of nothing wanted fails by name', async () => {
    await start();
    await expect(pull({ repo: 'no/where' })).rejects.toMatchObject({ code: 'MODEL_UNAVAILABLE' });
    await expect(pull({ repo: '../x' })).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
    await expect(pull({ include: [globPattern('*.gguf')] })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringContaining('has no file that is wanted'),
    });
  });
});

describe('Short names', () => {
  it('are pinned to commits', () => {
    for (const { revision } of Object.values(SHORTCUTS)) expect(revision).toMatch(/^[0-9a-f]{40}$/);
  });

  it('of Gemma Scope take, of each layer, the file with L0 nearest 100', () => {
    const hash = { kind: 'sha256' as const, hex: '' };
    const paths = [
      'layer_0/width_65k/average_l0_27/params.npz',
      'layer_0/width_65k/average_l0_110/params.npz',
      'layer_0/width_16k/average_l0_100/params.npz',
      'layer_12/width_65k/average_l0_72/params.npz',
      'layer_12/width_65k/average_l0_141/params.npz',
      'embedding/width_4k/average_l0_44/params.npz',
    ];
    const chosen = nearestL0(
      paths.map((path) => ({ path, bytes: 1, hash })),
      'width_65k',
      100,
    );
    expect(chosen.map(({ path }) => path)).toEqual([paths[1], paths[3]]);
  });

  it.each([
    ['layer_*/width_16k/**', 'layer_3/width_16k/average_l0_7/params.npz', true],
    ['layer_*/params.npz', 'layer_3/width_16k/params.npz', false],
    ['*.json', 'config.json', true],
    ['*.json', 'configXjson', false],
  ])('%s against %s: %s', (glob, path, matches) => {
    expect(globPattern(glob).test(path)).toBe(matches);
  });
});
