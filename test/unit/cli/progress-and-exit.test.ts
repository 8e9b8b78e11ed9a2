import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { AuditEvent } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { createContext } from '../../../services/cli/command-context.js';
import { createOutput } from '../../../services/cli/console-output.js';
import { checkFolder, checkMemory, checkNode } from '../../../services/cli/doctor-checks.js';
import { EXIT_CODES, exitNameOf } from '../../../services/cli/exit-codes.js';
import { quote } from '../../../services/cli/mesh-options.js';
import { createProgram } from '../../../services/cli/program.js';
import { formatSeconds, ProgressView } from '../../../services/cli/progress-view.js';
import { fault } from '../../../shared/errors/fault.js';
import { projectRoot } from '../../../shared/project/root.js';

const streams = (isTTY: boolean) => {
  const written = { out: '', err: '' };
  const stream = (key: 'out' | 'err') => ({
    isTTY,
    columns: 60,
    write: (text: string) => {
      written[key] += text;
      return true;
    },
  });
  return { written, output: createOutput(stream('out'), stream('err')) };
};
const started = AuditEvent.fromPartial({
  event: { $case: 'stageStarted', value: { stage: 'filter', number: 7, stages: 11 } },
});
const progress = (done: number, total: number, evaluations: number) =>
  AuditEvent.fromPartial({ event: { $case: 'progress', value: { stage: 'filter', done, total, evaluations } } });

describe('progress', () => {
  it('on a terminal one line is redrawn, with counts, rate and time left, never wider than the terminal', () => {
    const { written, output } = streams(true);
    let now = 0;
    const view = new ProgressView(output, () => now);
    view.show(started);
    view.show(progress(0, 10, 0));
    now = 4_000;
    view.show(progress(2, 10, 100));
    expect(written.err.split('\r\x1b[K').at(-1)).toBe('[7/11] filter  2/10  100 evaluations  25.0/s  about 16.0 s ');
    expect(written.err).not.toContain('\n');
    expect(written.out).toBe('');
  });

  it('elsewhere there are plain lines, and few of them', () => {
    const { written, output } = streams(false);
    let now = 0;
    const view = new ProgressView(output, () => now);
    view.show(started);
    for (let i = 0; i <= 60; i++) {
      now = i * 1_000;
      view.show(progress(i, 100, i));
    }
    expect(written.err.trim().split('\n').length).toBe(4);
    expect(written.err).not.toContain('\x1b');
  });

  it('work that came from a checkpoint does not shorten the time left', () => {
    const { written, output } = streams(true);
    let now = 0;
    const view = new ProgressView(output, () => now);
    view.show(started);
    view.show(progress(90, 100, 0));
    now = 10_000;
    view.show(progress(91, 100, 5));
    expect(written.err).toContain('about 1:30 m');
  });

  it('seconds are shown as people write them', () => {
    expect([4.25, 65, 3605].map(formatSeconds)).toEqual(['4.3 s', '1:05 min', '1:00:05 h']);
  });
});

describe('exit codes', () => {
  it('docs/cli.md lists exactly the codes there are', () => {
    const page = readFileSync(join(projectRoot, 'docs', 'cli.md'), 'utf8');
    const listed = [...page.matchAll(/^\| (\d+) \| (.+) \|$/gm)].map((match) => [Number(match[1]), match[2]?.trim()]);
    expect(listed).toEqual(Object.values(EXIT_CODES).map(({ code, meaning }) => [code, meaning]));
  });

  it.each([
    ['REQUEST_INVALID', 'USAGE'],
    ['AUDIT_UNKNOWN', 'NOT_FOUND'],
    ['FEATURE_UNKNOWN', 'NOT_FOUND'],
    ['MODEL_UNAVAILABLE', 'UNAVAILABLE'],
    ['PEER_UNAVAILABLE', 'UNAVAILABLE'],
    ['AUDIT_IMPOSSIBLE', 'AUDIT_FAILED'],
    ['INTERNAL', 'INTERNAL'],
  ] as const)('%s ends with %s', (code, name) => {
    expect(exitNameOf(code)).toBe(name);
  });

  it('a fault is one line on stderr without a stack', async () => {
    const { written, output } = streams(false);
    let code = 0;
    const context = createContext(output, '', (value) => {
      code = value;
    });
    await context.run(() => Promise.reject(fault('AUDIT_UNKNOWN', 'No audit has the id "x".')));
    expect(written).toEqual({ out: '', err: 'AUDIT_UNKNOWN: No audit has the id "x".\n' });
    expect(code).toBe(3);
  });
});

describe('help', () => {
  const { output } = streams(false);
  const program = createProgram(createContext(output, '', () => undefined));

  it.each(program.commands.map((command) => command.name()))('of %s has an example', (name) => {
    let text = '';
    const command = program.commands.find((one) => one.name() === name);
    command?.configureOutput({ writeOut: (part) => (text += part) }).outputHelp();
    expect(text).toMatch(/Examples?:\n {2}\$ npx refusalscope/);
  });

  it('docs/cli.md has a section for each command', () => {
    const page = readFileSync(join(projectRoot, 'docs', 'cli.md'), 'utf8');
    const sections = [...page.matchAll(/^## `refusalscope ([\w-]+)/gm)].map((match) => match[1]);
    expect(sections).toEqual(program.commands.map((command) => command.name()));
  });
});

describe('doctor', () => {
  it('tells Node versions apart', () => {
    expect(['20.9.0', '20.10.0', '18.20.0', '24.1.0'].map((version) => checkNode(version).verdict)).toEqual([
      'fail',
      'ok',
      'fail',
      'ok',
    ]);
  });
  it('names what is missing', async () => {
    expect(checkMemory(1024 ** 3, 1e8)).toMatchObject({
      verdict: 'note',
      detail: expect.stringContaining('lower --cache-mb'),
    });
    const inFile = join(projectRoot, 'package.json', 'state');
    expect(await checkFolder('state', inFile)).toEqual({
      name: 'state',
      verdict: 'fail',
      detail: `${inFile} cannot be written to`,
    });
  });
});

it('a quoted command line can be typed again', () => {
  expect(quote('plain-1.gguf')).toBe('plain-1.gguf');
  expect(quote("it's here")).toBe("'it'\\''s here'");
});
