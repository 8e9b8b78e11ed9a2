import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createContext } from '../../../services/cli/command-context.js';
import { createProgram } from '../../../services/cli/program.js';
import { loadInferenceConfig } from '../../../services/inference/config.js';
import { loadSearchConfig, SEARCH_SETTINGS } from '../../../services/search/config.js';
import { describeConfig } from '../../../shared/config/load-config.js';
import { EDGE_SHAPE } from '../../../shared/process/edge-settings.js';
import { projectRoot } from '../../../shared/project/root.js';

const folder = mkdtempSync(join(tmpdir(), 'refusalscope-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const fileWith = (content: unknown, name = 'settings.json'): string => {
  const path = join(folder, name);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
};

describe('settings from a file', () => {
  it('serve where the environment is silent; the service’s own part wins over the shared one, the environment over both', () => {
    const path = fileWith({
      shared: { REFUSALSCOPE_LOG_LEVEL: 'warn', REFUSALSCOPE_GRACE_S: 7 },
      inference: {
        REFUSALSCOPE_MODEL_PATH: '/m',
        REFUSALSCOPE_THREADS: 3,
        REFUSALSCOPE_GRACE_S: 9,
        REFUSALSCOPE_INSECURE: true,
      },
      search: { REFUSALSCOPE_SEARCH_LISTEN: '127.0.0.1:1' },
    });
    const config = loadInferenceConfig({ REFUSALSCOPE_CONFIG: path, REFUSALSCOPE_THREADS: '5' });
    expect(config).toMatchObject({ modelPath: '/m', threads: 5 });
    expect(config.edge).toMatchObject({
      REFUSALSCOPE_LOG_LEVEL: 'warn',
      REFUSALSCOPE_GRACE_S: 9,
      REFUSALSCOPE_INSECURE: true,
    });
    expect(loadSearchConfig({ REFUSALSCOPE_CONFIG: path }).edge).toMatchObject({ REFUSALSCOPE_GRACE_S: 7 });
  });

  it('the limits of messages and of what waits reach the inference service, whose own defaults would else win over those of the edge', () => {
    const given = { REFUSALSCOPE_MODEL_PATH: '/m', REFUSALSCOPE_MAX_MESSAGE_MB: '200' };
    const { limits } = loadInferenceConfig({ ...given, REFUSALSCOPE_MAX_WAITING_EVALUATIONS: '99' });
    expect(limits).toEqual({ maxMessageBytes: 200 << 20, maxQueuedEvaluations: 99 });
    expect(loadInferenceConfig({ REFUSALSCOPE_MODEL_PATH: '/m' }).limits).toEqual({ maxQueuedEvaluations: 131_072 });
  });

  it('all faults of file and environment are told together, and no value', () => {
    const path = fileWith({ search: { REFUSALSCOPE_SAERCH_LISTEN: 'x', REFUSALSCOPE_MAX_CALLS: 'hunter2' } });
    const load = () => loadSearchConfig({ REFUSALSCOPE_CONFIG: path, REFUSALSCOPE_LOG_LEVEL: 'loud' });
    expect(load).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    expect(load).toThrow(
      /3 faulty settings[\s\S]*SAERCH_LISTEN: no setting of search[\s\S]*LOG_LEVEL[\s\S]*MAX_CALLS: must be a whole number/,
    );
    expect(load).not.toThrow(/hunter2|loud/);
  });

  it.each([
    ['no JSON', '{oops', /is no JSON object/],
    ['a list', '[]', /is no JSON object/],
    ['an unknown part', { serach: {} }, /parts that are not known: serach\. Known: shared, inference/],
    ['a part that is a text', { search: 'x' }, /part "search" of .* must be an object/],
    [
      'a value that is an object',
      { search: { REFUSALSCOPE_GRACE_S: {} } },
      /search\.REFUSALSCOPE_GRACE_S of .* must be a text, a number/,
    ],
    ['a huge file', ' '.repeat((1 << 20) + 1), /1048577 bytes; a file of settings has at most 1048576/],
  ])('%s is CONFIG_INVALID', (_what, content, text) => {
    const load = () => loadSearchConfig({ REFUSALSCOPE_CONFIG: fileWith(content, 'bad.json') });
    expect(load).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringMatching(text) }));
  });

  it('a file that is not there is FILE_NOT_FOUND with its name', () => {
    const load = () => loadSearchConfig({ REFUSALSCOPE_CONFIG: join(folder, 'gone.json') });
    expect(load).toThrow(
      expect.objectContaining({ code: 'FILE_NOT_FOUND', message: expect.stringMatching(/gone\.json/) }),
    );
  });
});

describe('settings in view', () => {
  const environment = {
    REFUSALSCOPE_TOKEN: 'hunter2',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://ada:hunter2@collector:4317',
  };

  it('say where each comes from and hide what is secret, passwords inside URLs too', () => {
    const path = fileWith({ shared: { REFUSALSCOPE_GRACE_S: 7 } });
    const rows = describeConfig(SEARCH_SETTINGS, { ...environment, REFUSALSCOPE_CONFIG: path }, 'search');
    const row = (name: string) => rows.find((one) => one.name === name);
    expect(row('REFUSALSCOPE_TOKEN')).toMatchObject({ value: '[hidden]', source: 'environment' });
    expect(row('OTEL_EXPORTER_OTLP_ENDPOINT')).toMatchObject({ value: 'http://ada:[hidden]@collector:4317' });
    expect(row('REFUSALSCOPE_GRACE_S')).toMatchObject({ value: 7, source: 'file' });
    expect(row('REFUSALSCOPE_SEARCH_LISTEN')).toMatchObject({ value: '127.0.0.1:7003', source: 'default' });
    expect(JSON.stringify(rows)).not.toContain('hunter2');
  });

  const run = async (given: Record<string, string>, ...args: string[]) => {
    const written = { out: '', err: '', code: -1 };
    const output = {
      result: (line: string) => {
        written.out += `${line}\n`;
      },
      note: (line: string) => {
        written.err += `${line}\n`;
      },
      status: () => undefined,
      isTerminal: false,
    };
    const setExitCode = (code: number) => {
      written.code = code;
    };
    const context = createContext(output, '', setExitCode, given);
    await createProgram(context).parseAsync(['node', 'refusalscope', ...args]);
    return written;
  };

  it('`refusalscope config` prints every service that could start, and what keeps the others from it', async () => {
    const { out, err, code } = await run(environment, 'config', 'search', 'inference');
    expect(out).toMatch(/^\[search\]$/m);
    expect(out).toMatch(/^REFUSALSCOPE_TOKEN +"\[hidden\]" +environment$/m);
    expect(err).toMatch(/^inference: CONFIG_INVALID: .*1 faulty settings:\n {2}REFUSALSCOPE_MODEL_PATH: must name/m);
    expect(out + err).not.toContain('hunter2');
    expect(code).toBe(2);
  });

  it('`refusalscope config NAME --json` is a line of JSON a setting', async () => {
    const { out, code } = await run({}, 'config', 'fm', '--json');
    const rows = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(rows.every((row) => row.service === 'fm')).toBe(true);
    expect(rows).toContainEqual({
      service: 'fm',
      name: 'REFUSALSCOPE_FM_LISTEN',
      value: '127.0.0.1:7004',
      source: 'default',
    });
    expect(code).toBe(0);
    expect(await run({}, 'config', 'oracle')).toMatchObject({
      code: 2,
      err: expect.stringMatching(/No service is named oracle/),
    });
  });
});

it('every shared setting is explained in docs/security.md or docs/observability.md', () => {
  const pages = ['security.md', 'observability.md']
    .map((page) => readFileSync(join(projectRoot, 'docs', page), 'utf8'))
    .join();
  expect(Object.keys(EDGE_SHAPE).filter((name) => !pages.includes(name))).toEqual([]);
});
