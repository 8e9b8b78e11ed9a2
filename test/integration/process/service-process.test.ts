import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { FmServiceDefinition } from '../../../proto/gen/refusalscope/v1/fm.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** The FM service, as it ships: the quickest of them to start. */
const start = (environment: Record<string, string>) => {
  const child = spawn(process.execPath, [join(projectRoot, 'dist/services/fm/main.js')], {
    env: { PATH: process.env.PATH, REFUSALSCOPE_FM_LISTEN: '127.0.0.1:0', ...environment },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  children.push(child);
  const lines: string[] = [];
  child.stderr
    .setEncoding('utf8')
    .on('data', (part: string) => lines.push(...part.split('\n').filter((line) => line !== '')));
  const exited = once(child, 'exit').then(([code]) => code as number);
  const saw = async (text: string): Promise<string> => {
    for (let tries = 0; tries < 300; tries++) {
      const line = lines.find((one) => one.includes(text));
      if (line !== undefined) return line;
      if (child.exitCode !== null) break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no line with ${text} in:\n${lines.join('\n')}`);
  };
  return { child, lines, exited, saw };
};

describe('a service process', () => {
  it('beyond loopback without authentication it does not start: one plain line, exit code 1', async () => {
    const { exited, lines } = start({ REFUSALSCOPE_FM_LISTEN: '0.0.0.0:0' });
    expect(await exited).toBe(1);
    expect(lines.join('\n')).toMatch(
      /^fm cannot start\. CONFIG_INVALID: 0\.0\.0\.0:0 can be reached from other machines/m,
    );
  });

  it('with faulty settings it says all of them and does not start', async () => {
    const { exited, lines } = start({ REFUSALSCOPE_FM_LISTEN: 'here', REFUSALSCOPE_GRACE_S: '-1' });
    expect(await exited).toBe(1);
    expect(lines.join('\n')).toMatch(
      /2 faulty settings:[\s\S]*GRACE_S: must be a whole number[\s\S]*FM_LISTEN: must be host:port/,
    );
  });

  it('ends with code 0 on SIGTERM, after a line for its start and one for its stop', async () => {
    const { child, exited, lines, saw } = start({});
    const { address } = JSON.parse(await saw('"serving"')) as { address: string };
    const { client, close } = connect(FmServiceDefinition, address);
    await expect(client.designMasks({})).rejects.toMatchObject({ code: expect.any(String) });
    close();
    child.kill('SIGTERM');
    expect(await exited).toBe(0);
    expect(lines.some((line) => line.includes('"stopping"') && line.includes('SIGTERM'))).toBe(true);
  });
});
