/**
 * One audit of a planted model by the files that ship, each a process of its own: nats-server, two inference workers, SAE, search, FM,
 * coordinator, and the command line at the root. Gives every span that they sent.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PromptLabel } from '../../proto/gen/refusalscope/v1/types.js';
import { projectRoot } from '../../shared/project/root.js';
import { startServiceMesh } from '../../test/faults/service-mesh.js';
import { plantedSubject, type Subject } from '../../test/faults/subject.js';
import { type SeenSpan, startCollector } from '../../test/integration/telemetry/otlp-collector.js';

const PROMPTS_A_CATEGORY = 8;
/** As little as passes through every stage, with several prompts searched at once, so that batches join. */
const FLAGS = [
  ...['--growth', '10,20', '--masks', '64', '--features', '8', '--draws', '1', '--answer-tokens', '8'],
  ...['--claim-prompts', '2', '--family-evaluations', '40', '--hydra-rounds', '2'],
  ...['--hydra-prompts', '2', '--hydra-features', '4'],
  ...['--sufficiency-draws', '1', '--harmless-prompts', '2', '--cost-sets', '2'],
];

export const recordAudit = async (): Promise<SeenSpan[]> => {
  const collector = await startCollector();
  const folder = await mkdtemp(join(tmpdir(), 'refusalscope-trace-'));
  const subject = plantedSubject(PROMPTS_A_CATEGORY);
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    REFUSALSCOPE_TRACE_RATIO: '1',
  };
  try {
    const mesh = await startServiceMesh(subject, { environment });
    try {
      const { address } = await mesh.startCoordinator();
      await runAudit(address, folder, subject, environment);
    } finally {
      await mesh.close('SIGTERM');
    }
    return collector.spans();
  } finally {
    await collector.stop();
    subject.close();
    await rm(folder, { recursive: true, force: true });
  }
};

const runAudit = async (
  address: string,
  folder: string,
  subject: Subject,
  environment: Readonly<Record<string, string>>,
): Promise<void> => {
  await writeFile(join(folder, 'prompts.jsonl'), promptLines(subject));
  const main = join(projectRoot, 'dist', 'services', 'cli', 'main.js');
  const args = [main, 'audit', '--connect', address, '--prompts', 'prompts.jsonl', '--out', 'report', ...FLAGS];
  const child = spawn(process.execPath, args, {
    cwd: folder,
    env: { ...process.env, ...environment, REFUSALSCOPE_STATE_DIR: folder },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`the audit ended with exit code ${code}`);
};

const promptLines = ({ spec }: Subject): string =>
  spec.prompts
    .map(({ prompt, label, category }) => {
      const text = prompt?.input?.$case === 'text' ? prompt.input.value : '';
      const name = label === PromptLabel.PROMPT_LABEL_HARMFUL ? 'harmful' : 'harmless';
      return `${JSON.stringify({ id: prompt?.id, text, label: name, category })}\n`;
    })
    .join('');
