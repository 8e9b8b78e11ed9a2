/**
 * Puts the embedded model's checked weights below $XDG_CACHE_HOME; done at once if they are there. With `--wait` it fetches nothing and
 * waits until another process has put them there. The first program of a deployment: a Job in Kubernetes, a one-shot service in compose.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ensureEmbeddedModel } from '../dist/shared/model-store/ensure-model-file.js';

const LOOK_EVERY_MS = 2_000;

const say = (text) => process.stdout.write(`${text}\n`);

/** Without any command to fetch with, a file that is not there is an error at once. */
const lookOnly = { env: { ...process.env, PATH: '/nonexistent' }, backOffMs: [] };

const awaitModel = async () => {
  for (;;) {
    try {
      return await ensureEmbeddedModel(lookOnly);
    } catch (thrown) {
      if (thrown?.code !== 'MODEL_UNAVAILABLE') throw thrown;
      await sleep(LOOK_EVERY_MS);
    }
  }
};

let phase = '';
const onProgress = (progress) => {
  if (progress.phase !== phase) say(`${progress.file}: ${progress.phase}`);
  phase = progress.phase;
};

try {
  const waits = process.argv.includes('--wait');
  if (waits) say('waiting for the model file');
  const { path, source } = await (waits ? awaitModel() : ensureEmbeddedModel({ onProgress }));
  say(`${path} (${source})`);
} catch (thrown) {
  process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
  process.exitCode = 1;
}
