/** One mechanism with one seed: planted, opened, searched, scored, deleted. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEngine, openSaes } from './engine-ports.js';
import type { Mechanism } from './mechanism.js';
import { plantModel } from './plant/plant-model.js';
import { recover } from './recover.js';
import { type AgainstModel, scoreAgainstModel } from './score-against-model.js';
import { type Score, scoreRecovery } from './score-recovery.js';

/** Plain data: it travels between processes and stands in the file of runs. */
export interface SeedRun {
  readonly seed: number;
  /** Against the description. */
  readonly score: Score;
  /** Against the model that was built, with noise only: without it the two are the same. */
  readonly againstModel?: AgainstModel;
  /** Share of prompts where score and judged text agree. */
  readonly agreement: number;
  /** Of the search alone; seconds of processor time, which another process on the machine does not add to. */
  readonly evaluations: number;
  readonly seconds: number;
}

export async function runSeed(mechanism: Mechanism, seed: number): Promise<SeedRun> {
  const folder = mkdtempSync(join(tmpdir(), 'refusalscope-planted-'));
  try {
    const planted = plantModel(mechanism, { folder, seed });
    const model = await openEngine(planted.modelFolder, `${mechanism.name} ${mechanism.snr ?? ''} ${seed}`);
    const saes = openSaes(planted.saeFolder);
    try {
      const start = process.cpuUsage();
      const recovery = await recover(planted, { model, saes });
      const { agreement, evaluations } = recovery;
      const { user, system } = process.cpuUsage(start);
      const seconds = (user + system) / 1e6;
      const against =
        mechanism.snr === undefined ? undefined : await scoreAgainstModel(planted, recovery, { model, saes });
      const score = scoreRecovery(planted, recovery);
      return { seed, score, ...(against && { againstModel: against }), agreement, evaluations, seconds };
    } finally {
      saes.close();
      await model.close();
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}
