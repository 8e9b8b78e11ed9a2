/**
 * The program behind deploy/local-cluster.sh: `local-cluster.js [OVERLAY] [--no-audit]`. Starts what the overlay renders, runs one small
 * audit through it with the command line, and stops everything. Exit code 0 if the audit ended with a report.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import { RenderedMesh } from './rendered-mesh.js';

const LIMIT_MS = Number(process.env.LOCAL_CLUSTER_LIMIT_S ?? 900) * 1000;
const STOP_LIMIT_MS = 60_000;
const SMALL_CLAIMS = ['--family-evaluations', '40', '--sufficiency-draws', '1', '--harmless-prompts', '2'];
/** As little as an audit can do and still pass through every stage and every service. */
const SMALL = [
  '--layers',
  '13,17',
  '--growth',
  '10,50',
  '--masks',
  '32',
  '--features',
  '4',
  '--draws',
  '1',
  ...SMALL_CLAIMS,
];
const PAIRS = 4;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const smallPromptSet = async (folder: string): Promise<string> => {
  const lines = (await readFile(join(projectRoot, 'models/prompts/pairs.jsonl'), 'utf8')).split('\n');
  const path = join(folder, 'prompts.jsonl');
  await writeFile(path, `${lines.slice(0, 2 * PAIRS).join('\n')}\n`);
  return path;
};

const runAudit = async (mesh: RenderedMesh, coordinator: string, folder: string): Promise<number> => {
  const prompts = await smallPromptSet(folder);
  const args = ['audit', '--connect', coordinator, '--prompts', prompts, '--max-prompts', '1', ...SMALL];
  const child = spawn(
    process.execPath,
    [join(projectRoot, 'dist/services/cli/main.js'), ...args, '--answer-tokens', '16', '--out', join(folder, 'report')],
    {
      stdio: ['ignore', 'inherit', 'inherit'],
      signal: mesh.failed,
      env: { ...process.env, ...(await mesh.callerEnvironment()) },
    },
  );
  return new Promise((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
  });
};

const describeReport = async (folder: string): Promise<string> => {
  const text = await readFile(join(folder, 'report', 'report.json'), 'utf8');
  const { provenance } = JSON.parse(text) as { provenance?: { model?: string } };
  return `report.json: ${text.length} characters, model ${provenance?.model ?? 'unknown'}`;
};

const run = async (overlay: string, withAudit: boolean, signal: AbortSignal): Promise<number> => {
  const mesh = await RenderedMesh.start({ overlay, say, signal });
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-audit-'));
  try {
    const coordinator = await mesh.addressOf('coordinator', 7000);
    say(`overlay ${overlay}: every probe answers; coordinator at ${coordinator}`);
    if (!withAudit) return 0;
    const code = await runAudit(mesh, coordinator, folder);
    mesh.failed.throwIfAborted();
    if (code === 0) say(await describeReport(folder));
    return code;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await mesh.stop();
    say('all stopped');
  }
};

const stopping = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
const limit = setTimeout(() => {
  process.stderr.write(`not done after ${LIMIT_MS / 1000} s: giving up (LOCAL_CLUSTER_LIMIT_S sets the limit)\n`);
  stopping.abort();
  // For a stop that does not end either.
  setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref();
}, LIMIT_MS);
try {
  const [overlay = 'dev', ...flags] = process.argv.slice(2);
  process.exitCode = await run(overlay, !flags.includes('--no-audit'), stopping.signal);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
} finally {
  clearTimeout(limit);
}
