/**
 * The program behind deploy/local-cluster.sh: `local-cluster.js [OVERLAY] [--no-audit] [--pods N] [--kill STAGE]`. Starts what the
 * overlay renders, with N pods of inference (1), runs one small audit through it with the command line, and stops everything. `--kill`
 * ends the first inference pod with kill -9 in that stage. Exit code 0 if the audit ended with a report.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
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

/** Stages in which a pod can be killed, with what the command line says just before: filter works by the queue, verify by calls alone. */
const KILL_AFTER = { filter: '] depth:', verify: '] filter:' } as const;
type KillStage = keyof typeof KILL_AFTER;

interface Choice {
  readonly overlay: string;
  readonly withAudit: boolean;
  readonly inferencePods: number;
  readonly kill: KillStage | undefined;
}

const runAudit = async (mesh: RenderedMesh, folder: string, { kill }: Choice): Promise<number> => {
  const coordinator = await mesh.addressOf('coordinator', 7000);
  const prompts = await smallPromptSet(folder);
  const args = [
    'audit',
    '--connect',
    coordinator,
    '--prompts',
    prompts,
    '--max-prompts',
    kill === undefined ? '1' : '3',
    ...SMALL,
  ];
  const child = spawn(
    process.execPath,
    [join(projectRoot, 'dist/services/cli/main.js'), ...args, '--answer-tokens', '16', '--out', join(folder, 'report')],
    {
      stdio: ['ignore', 'inherit', 'pipe'],
      signal: mesh.failed,
      env: { ...process.env, ...(await mesh.callerEnvironment()) },
    },
  );
  child.stderr.pipe(process.stderr, { end: false });
  const ended = new Promise<number>((resolve) => {
    child.once('error', () => resolve(1));
    child.once('exit', (code) => resolve(code ?? 1));
  });
  if (kill === undefined) return ended;
  const [code, wasKilled] = await Promise.all([ended, killIn(kill, mesh, child)]);
  if (!wasKilled) say('nothing was killed: the audit was over before');
  return wasKilled ? code : 1;
};

const POLL_MS = 20;

/** In the filter not before items of the audit wait in the queue or are worked on. False: the audit was faster. */
const killIn = async (stage: KillStage, mesh: RenderedMesh, audit: ChildProcess): Promise<boolean> => {
  let said = '';
  audit.stderr?.on('data', (data: Buffer) => {
    said += data.toString('utf8');
  });
  const isOver = () => audit.exitCode !== null || audit.signalCode !== null;
  while (!isOver() && !said.includes(KILL_AFTER[stage])) await sleep(POLL_MS);
  let items = 0;
  while (stage === 'filter' && items === 0 && !isOver()) {
    await sleep(POLL_MS);
    items = await mesh.queueLag();
  }
  if (isOver()) return false;
  say(`stage ${stage}${items > 0 ? `, ${items} items in the queue` : ''}: kill -9 of inference`);
  await mesh.killPod('inference');
  return true;
};

const describeReport = async (folder: string): Promise<string> => {
  const text = await readFile(join(folder, 'report', 'report.json'), 'utf8');
  const { provenance } = JSON.parse(text) as { provenance?: { model?: string } };
  return `report.json: ${text.length} characters, model ${provenance?.model ?? 'unknown'}`;
};

const run = async (choice: Choice, signal: AbortSignal): Promise<number> => {
  const { overlay, withAudit, inferencePods } = choice;
  const mesh = await RenderedMesh.start({ overlay, inferencePods, say, signal });
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-audit-'));
  try {
    say(`overlay ${overlay}: every probe answers; coordinator at ${await mesh.addressOf('coordinator', 7000)}`);
    if (!withAudit) return 0;
    const code = await runAudit(mesh, folder, choice);
    mesh.failed.throwIfAborted();
    if (code === 0) say(await describeReport(folder));
    return code;
  } finally {
    await rm(folder, { recursive: true, force: true });
    await mesh.stop();
    say('all stopped');
  }
};

const isKillStage = (text: string | undefined): text is KillStage | undefined =>
  text === undefined || text in KILL_AFTER;

const readChoice = (): Choice => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      'no-audit': { type: 'boolean', default: false },
      pods: { type: 'string', default: '1' },
      kill: { type: 'string' },
    },
  });
  const [overlay = 'dev'] = positionals;
  const inferencePods = Number(values.pods);
  if (!(Number.isInteger(inferencePods) && inferencePods > 0)) throw new Error('--pods takes a whole number above 0.');
  const { kill } = values;
  if (!isKillStage(kill)) throw new Error(`--kill takes one of ${Object.keys(KILL_AFTER).join(', ')}.`);
  if (kill === 'filter' && overlay === 'dev') throw new Error('--kill filter needs the work queue: take overlay cpu.');
  return { overlay, withAudit: !values['no-audit'], inferencePods, kill };
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
  process.exitCode = await run(readChoice(), stopping.signal);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
} finally {
  clearTimeout(limit);
}
