/**
 * What the overlays render is really run: every process starts with exactly the environment of its manifest and answers its probes, and
 * the command line gets an answer through the mesh. The audit through it is deploy/local-cluster.sh's.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from 'vitest';
import { projectRoot } from '../../../shared/project/root.js';
import { hasKubectl } from '../../unit/deploy/render-overlay.js';
import { RenderedMesh } from './rendered-mesh.js';

const run = promisify(execFile);
const LIMIT_MS = 240_000;

/** What `refusalscope report` says of an audit that is not there, with these settings and no others of ours. */
const askForReport = async (coordinator: string, settings: Record<string, string>): Promise<string> => {
  const args = [join(projectRoot, 'dist/services/cli/main.js'), 'report', 'nosuch', '--connect', coordinator];
  const env = { PATH: process.env.PATH, HOME: process.env.HOME, ...settings };
  return run(process.execPath, args, { env }).then(
    ({ stdout }) => stdout,
    (failed: { stderr: string }) => failed.stderr,
  );
};

describe.skipIf(!hasKubectl)('the rendered mesh (skipped where there is no kubectl)', () => {
  let mesh: RenderedMesh | undefined;
  afterEach(async () => {
    await mesh?.stop();
    mesh = undefined;
  });

  test(
    'overlay cpu: all probes answer over the plain port, calls need a certificate and a token, the autoscaler finds its consumer',
    async () => {
      mesh = await RenderedMesh.start({ overlay: 'cpu' });
      const coordinator = await mesh.addressOf('coordinator', 7000);
      const caller = await mesh.callerEnvironment();
      expect(Object.keys(caller)).toContain('REFUSALSCOPE_TOKEN');

      expect(await mesh.queueLag(), 'the consumer at which KEDA looks is there, and has nothing to do').toBe(0);
      expect(await askForReport(coordinator, caller)).toMatch(/No audit has the id/);
      const { REFUSALSCOPE_TOKEN, ...withoutToken } = caller;
      expect(REFUSALSCOPE_TOKEN).toMatch(/\./);
      expect(await askForReport(coordinator, withoutToken)).toMatch(/needs the scope read/);
      expect(await askForReport(coordinator, {})).not.toMatch(/No audit has the id|scope/);
    },
    LIMIT_MS,
  );
});
