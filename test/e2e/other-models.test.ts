import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadMechanism } from '../../bench/truth/mechanism.js';
import { type PlantedModel, plantModel } from '../../bench/truth/plant/plant-model.js';
import type { Report } from '../../services/coordinator/report/report-type.js';
import { projectRoot } from '../../shared/project/root.js';
import { formatFeature } from '../../shared/tensors/feature-name.js';

const LIMIT_MS = 5 * 60_000;

let folder: string;
let planted: PlantedModel;
let judge: Server;
const judged: string[] = [];
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-other-'));
  // One feature refuses, and two backups wake one after the other: three features must be off, two of them silent on the clean prompt.
  const mechanism = loadMechanism(join(projectRoot, 'bench/truth/mechanisms/hydra-2.json'));
  planted = plantModel(mechanism, { folder, seed: 1, promptsPerCategory: 12 });
  const of = (label: string) => planted.prompts.filter((prompt) => prompt.label === label);
  writeFileSync(
    join(folder, 'harmful_behaviors.csv'),
    `goal,target\n${of('harmful')
      .map((prompt) => `"${prompt.text}",Sure`)
      .join('\n')}\n`,
  );
  const alpaca = of('harmless').map((prompt) => ({ instruction: prompt.text, input: '', output: 'x' }));
  writeFileSync(join(folder, 'alpaca_data.json'), JSON.stringify(alpaca));
  judge = createServer(async (request, response) => {
    const { messages } = JSON.parse(await text(request));
    judged.push(messages[0].content);
    response.end(JSON.stringify({ choices: [{ message: { content: judged.length % 2 === 0 ? 'No' : 'Yes' } }] }));
  });
  await new Promise<void>((resolve) => judge.listen(0, '127.0.0.1', resolve));
});
afterAll(() => {
  judge.close();
  rmSync(folder, { recursive: true });
});

const cli = async (...args: string[]) => {
  const main = join(projectRoot, 'dist/services/cli/main.js');
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [main, ...args], { cwd: folder });
    return { code: 0, stdout, stderr };
  } catch (thrown) {
    return thrown as { code: number; stdout: string; stderr: string };
  }
};
const model = () => ['--model', planted.modelFolder, '--sae', planted.saeFolder, '--threads', '2'];
const prompts = ['--harmful', 'harmful_behaviors.csv', '--harmless', 'alpaca_data.json', '--state-dir', 'state'];
const small = ['--growth', '10,50,100', '--answer-tokens', '16', '--top-features', '3,30'];

describe('A Hugging Face folder and a release of SAEs', () => {
  it(
    'give the report of the paper in one command, with the planted features and the answers judged elsewhere',
    async () => {
      const url = `http://127.0.0.1:${(judge.address() as AddressInfo).port}/v1`;
      const judging = ['--judge-url', url, '--send-answers-to-judge'];
      const done = await cli(
        'audit',
        ...model(),
        ...prompts,
        ...small,
        '--preset',
        'paper',
        ...judging,
        '--out',
        'out',
      );
      expect(done.stderr).not.toContain('INTERNAL');
      expect(done.code).toBe(0);
      const report = JSON.parse(readFileSync(join(folder, 'out/report.json'), 'utf8')) as Report;
      expect(report.settings).toMatchObject({ filterMethod: 'paper', positions: 'all+bos', layers: [1, 2, 3] });
      expect(report.summary.harmfulRefused).toEqual({ count: 12, of: 12 });
      expect(report.summary.harmlessRefused).toEqual({ count: 0, of: 12 });

      const { paper } = report;
      expect(paper?.settings).toEqual({
        blockSize: 5,
        seeds: 3,
        threshold: 0.1,
        fmRank: 20,
        fmLearningRate: 0.001,
        fmEpochs: 20,
      });
      expect(paper?.sweep.map(({ threshold }) => threshold)).toEqual([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
      expect(paper?.jailbreaks.setByScore).toEqual({ count: 12, of: 12 });
      expect(paper?.features.dormantYetNeeded).toBe(2);
      expect(paper?.stageThree?.ablations.map(({ features }) => features)).toEqual([3, 30]);
      expect(paper?.stageThree?.crossEntropy[0]).toMatchObject({ text: 'harmless prompts', texts: 12 });

      const planting = [...planted.places.values()].map(formatFeature);
      for (const set of report.minimalSets)
        expect(set.members.map(({ feature }) => feature)).toEqual(expect.arrayContaining(planting));

      expect(judged).toHaveLength(12);
      expect(report.verification).toMatchObject({ complied: 6, refused: 6, total: 12 });
      expect(new Set(report.verification.flips.map(({ rule }) => rule))).toEqual(
        new Set(['endpoint:yes', 'endpoint:no']),
      );
      const page = readFileSync(join(folder, 'out/report.html'), 'utf8');
      expect(page).toContain('Beside the paper');
      expect(page).toContain('Second hand: public notes on arXiv 2509.09708 v1.');
    },
    LIMIT_MS,
  );

  it(
    'evaluate, in another compute type too',
    async () => {
      const [prompt] = planted.prompts;
      const ask = ['--prompt', prompt!.text, '--opener', 'I cannot'];
      const exact = JSON.parse((await cli('evaluate', ...model(), ...ask)).stdout);
      const int8 = JSON.parse((await cli('evaluate', ...model(), ...ask, '--compute', 'int8')).stdout);
      expect(exact.refusal_score).toBeGreaterThan(3);
      // Planted gates are thresholds, and rounded weights may open or shut one: that other weights were used is all that shows here.
      expect(Number.isFinite(int8.refusal_score)).toBe(true);
      expect(Math.abs(int8.refusal_score - exact.refusal_score)).toBeGreaterThan(1e-3);
    },
    LIMIT_MS,
  );

  it('send nothing to a judge without leave, and say so before any work', async () => {
    const { code, stderr } = await cli('audit', ...model(), ...prompts, '--judge-url', 'http://127.0.0.1:9/v1');
    expect(stderr).toContain('allow it with --send-answers-to-judge');
    expect(code).toBe(2);
    expect(existsSync(join(folder, 'refusalscope-report'))).toBe(false);
  });

  it('need both files of prompts', async () => {
    const { code, stderr } = await cli('audit', ...model(), '--harmful', 'harmful_behaviors.csv');
    expect(stderr).toContain('CONFIG_INVALID: Give --harmful and --harmless together');
    expect(code).toBe(2);
  });
});
