/** SAE folders of every format: config and weights, opened under each reading, one residual encoded and one feature's rows read. */
import { BlockCache } from '../../../services/sae/block-cache.js';
import { encodeResiduals } from '../../../services/sae/encode-residuals.js';
import { findSaes } from '../../../services/sae/find-saes.js';
import type { InputScale } from '../../../services/sae/input-scale.js';
import { openSae } from '../../../services/sae/open-sae.js';
import type { SaeDescription } from '../../../services/sae/sae-description.js';
import type { FuzzInput, FuzzTarget } from '../harness/fuzz-target.js';
import { isRead } from '../harness/try-case.js';
import { chance, one } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateSafetensors } from '../mutate/mutate-safetensors.js';
import { createScratchFiles } from './scratch-files.js';
import { seedFolder } from './seeds.js';

/** The seeds are 16 wide; a config may say anything. */
const MAX_WIDTH = 4096;
const MAX_FEATURES = 65_536;

const readSae = (description: SaeDescription): boolean => {
  // What describes 4 million features by its config alone has been checked against the weights' shapes: it cannot get here.
  if (description.dIn > MAX_WIDTH || description.dSae > MAX_FEATURES) throw new Error('larger than its file');
  const open = openSae(description, new BlockCache(1 << 20));
  try {
    return description.readings.every((reading) => {
      const inputScale: InputScale =
        reading.inputScale.kind === 'measured-mean' ? { kind: 'fixed', scale: 1 } : reading.inputScale;
      const residual = Float32Array.from({ length: description.dIn }, (_, i) => Math.sin(i));
      return isRead(() => {
        const sae = open.as(reading, inputScale);
        encodeResiduals(sae, residual);
        sae.decoder.rows([description.dSae - 1]);
      });
    });
  } finally {
    open.close();
  }
};

const saeTarget = (name: string, folders: readonly string[]): FuzzTarget => ({
  name: `sae-${name}`,
  reads: `SAE folders of ${name}: config, weights, readings`,
  weight: 4,
  shortCases: 40,
  open: (scratch) => {
    const seeds = folders.map((folder) => seedFolder(`sae/${folder}`));
    // Names of folders belong to the format: each seed has its own place.
    const writers = seeds.map((_, i) => createScratchFiles(`${scratch}/${i}`));
    return {
      make: (random): FuzzInput => {
        const at = random.below(seeds.length);
        const files = seeds[at]!;
        const changed = one(random, Object.keys(files));
        const bytes = files[changed]!;
        const text = (): Buffer => mutateJsonText(random, JSON.parse(Buffer.from(bytes).toString('utf8')) as Json);
        const other = (): Buffer =>
          changed.endsWith('.safetensors') ? mutateSafetensors(random, [bytes]) : mutateBytes(random, [bytes]);
        return {
          ...files,
          [changed]: changed.endsWith('.json') && chance(random, 0.9) ? text() : other(),
          '.seed': Buffer.of(at),
        };
      },
      decode: ({ '.seed': at, ...files }) => {
        const found = findSaes([writers[at![0]!]!(files)]);
        return found.every(readSae);
      },
    };
  },
});

export const SAE_TARGETS: readonly FuzzTarget[] = [
  saeTarget('saelens', ['saelens-jumprelu', 'saelens-topk', 'saelens-gated', 'saelens-5-topk', 'saelens-average-norm']),
  saeTarget('gemmascope', ['gemmascope', 'gemmascope-deflated']),
  saeTarget('gemmascope-2', ['gemmascope-2']),
  saeTarget('llamascope', ['llamascope-stored-threshold', 'llamascope-own-norm']),
  saeTarget('llamascope-r1', ['llamascope-r1']),
  saeTarget('sparsify', ['sparsify']),
];
