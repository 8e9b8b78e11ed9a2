/** The Dockerfile and what it takes into the image fit the project. Building it: see docs/deploy.md. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { copiedFromContext, parseDockerfile, type Stage, valuesOf } from './dockerfile.js';
import { hostOf, portOf, readSettings, SERVICES } from './known-settings.js';

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8');
const { args, stages } = parseDockerfile(read('deploy/Dockerfile'));
const stage = (name: string): Stage => stages.find((one) => one.name === name)!;
const RUNTIMES = ['runtime', 'runtime-gpu', 'fetch'];

describe('the Dockerfile', () => {
  test('takes every base image as an argument with a pinned default', () => {
    const bases = stages.map(({ base }) => base).filter((base) => !stages.some(({ name }) => name === base));
    expect(new Set(bases)).toEqual(new Set(Object.keys(args).map((name) => `\${${name}}`)));
    for (const image of Object.values(args)) expect(image).toMatch(/:[\w.-]+$/);
    expect(Object.values(args).join()).not.toContain(':latest');
  });

  test('builds the runtime image if no target is named', () => {
    expect(stages.at(-1)!.name).toBe('runtime');
  });

  test('copies what there is, and only what .dockerignore lets through', () => {
    const sources = stages.flatMap(copiedFromContext);
    expect(sources).toContain('models');
    expect(sources.filter((path) => !existsSync(join(projectRoot, path)))).toEqual([]);
    const [first, ...rest] = read('.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'));
    const let_in = rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
    expect(first).toBe('*');
    expect(sources.filter((path) => !let_in.includes(path))).toEqual([]);
  });

  test('copies every folder that the programs read from the project at run time', () => {
    const needed = ['models', 'proto', 'services', 'package.json'];
    expect(copiedFromContext(stage('build'))).toEqual(expect.arrayContaining(needed));
  });

  test('keeps development out of the image and runs no install script but one', () => {
    const build = valuesOf(stage('build'), 'RUN').join('\n');
    expect(build).toContain('npm ci');
    expect(build).toContain('npm prune --omit=dev');
    expect(build.match(/npm (ci|prune)/g)).toHaveLength(build.match(/--ignore-scripts/g)!.length);
  });

  test.each(RUNTIMES)('target %s runs as a user by number, without a shell', (name) => {
    const { instructions } = stage(name);
    expect(valuesOf(stage(name), 'USER')).toEqual(['65532:65532']);
    expect(valuesOf(stage(name), 'ENTRYPOINT')).toEqual(['["/usr/local/bin/node"]']);
    const [command] = valuesOf(stage(name), 'CMD').map((text) => JSON.parse(text) as string[]);
    const source = command![0]!.replace(/^dist\/(.*)\.js$/, '$1.ts');
    expect(existsSync(join(projectRoot, source)), command![0]).toBe(true);
    const afterUser = instructions.slice(instructions.findIndex((one) => one.name === 'USER'));
    expect(afterUser.map((one) => one.name)).not.toContain('RUN');
  });

  test('installs nothing in the runtime images: only what the build made', () => {
    for (const name of ['runtime', 'runtime-gpu']) expect(valuesOf(stage(name), 'RUN')).toEqual([]);
    expect(valuesOf(stage('runtime'), 'COPY').every((rest) => rest.startsWith('--from=build'))).toBe(true);
  });

  test('exposes the ports on which the services listen if nothing else is said, and the console', () => {
    const needed = {
      REFUSALSCOPE_MODEL_PATH: '/model',
      REFUSALSCOPE_INFERENCE_ADDRESS: 'a:1',
      REFUSALSCOPE_SAE_ADDRESS: 'a:1',
      REFUSALSCOPE_SEARCH_ADDRESS: 'a:1',
      REFUSALSCOPE_FM_ADDRESS: 'a:1',
    };
    const ports = Object.keys(SERVICES).map((name) => portOf(readSettings(name, needed).settings!.listen));
    expect(valuesOf(stage('runtime'), 'EXPOSE')).toEqual([[...ports.sort(), 7080].join(' ')]);
    expect(hostOf('127.0.0.1:7001')).toBe('127.0.0.1');
  });
});
