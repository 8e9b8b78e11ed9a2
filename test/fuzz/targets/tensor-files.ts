/** Weight files: safetensors single and sharded, npz, and any bytes opened by what their first ones are. */

import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { openNpz } from '../../../shared/tensor-files/npz.js';
import { openTensorFile } from '../../../shared/tensor-files/open-tensor-file.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import type { TensorSource } from '../../../shared/tensor-files/tensor-source.js';
import { buildZip, npyBytes, npyHeader } from '../../unit/tensor-files/zip-bytes.js';
import type { FuzzInput, FuzzTarget } from '../harness/fuzz-target.js';
import { chance, edgeInteger, one } from '../mutate/edge-values.js';
import { mutateBytes, randomBytes } from '../mutate/mutate-bytes.js';
import { mutateJsonText } from '../mutate/mutate-json.js';
import { mutateSafetensors } from '../mutate/mutate-safetensors.js';
import { mutateText } from '../mutate/mutate-text.js';
import { readTensors } from './read-tensors.js';
import { createScratchFiles } from './scratch-files.js';
import { seedBytes, seedFolder, seedJson } from './seeds.js';

const readAll = (source: TensorSource): boolean => {
  try {
    return readTensors(source);
  } finally {
    source.close();
  }
};

export const safetensors: FuzzTarget = {
  name: 'safetensors',
  reads: 'one safetensors file: header and every tensor',
  weight: 8,
  shortCases: 100,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seeds = [
      seedBytes('tensor-files/single.safetensors'),
      seedBytes('sae/gemmascope-2/resid_post/layer_7_width_16k_l0_small/params.safetensors'),
    ];
    return {
      make: (random) => ({ 'model.safetensors': mutateSafetensors(random, seeds) }),
      decode: (input) => readAll(openSafetensors(`${write(input)}/model.safetensors`)),
    };
  },
};

const INDEX = 'model.safetensors.index.json';

export const safetensorsSharded: FuzzTarget = {
  name: 'safetensors-sharded',
  reads: 'a folder of shards with its index',
  weight: 4,
  shortCases: 60,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const files = seedFolder('tensor-files/sharded');
    const index = seedJson(`tensor-files/sharded/${INDEX}`);
    const shards = Object.keys(files).filter((name) => name.endsWith('.safetensors'));
    const seeds = shards.map((name) => files[name]!);
    return {
      make: (random): FuzzInput => {
        if (chance(random, 0.5)) return { ...files, [INDEX]: mutateJsonText(random, index) };
        return { ...files, [one(random, shards)]: mutateSafetensors(random, seeds) };
      },
      decode: (input) => readAll(openSafetensors(write(input))),
    };
  },
};

/** An archive made anew around hostile headers, so that its checksums are right and its parts are reached. */
const builtNpz = (random: SeededRandom): Buffer => {
  const header = npyHeader(
    one(random, ["'<f4'", "'<f2'", "'<f8'", "'>f4'", "'|O'", "'<i8'"]),
    '(2, 3)',
    chance(random, 0.3),
  );
  const array = npyBytes(
    chance(random, 0.8) ? mutateText(random, header, ['(', ')', ',', "'", '2', '99999999999', 'True']) : header,
    randomBytes(random, 24),
    chance(random, 0.8) ? 1 : 2,
  );
  const wrong = () => Number(edgeInteger(random) & 0xffffffffn);
  return buildZip([
    { name: one(random, ['a.npy', 'b.npy', 'a', '../a.npy', '']), data: array, deflate: chance(random, 0.5) },
    {
      name: 'w.npy',
      data: npyBytes(npyHeader("'<f4'", '(6,)'), Buffer.alloc(24)),
      deflate: chance(random, 0.5),
      zip64: chance(random, 0.2),
      ...(chance(random, 0.2) && { length: wrong() }),
      ...(chance(random, 0.2) && { storedLength: wrong() }),
      ...(chance(random, 0.1) && { localOffset: wrong() }),
      ...(chance(random, 0.1) && { method: random.below(16) }),
      ...(chance(random, 0.1) && { flags: random.below(65_536) }),
    },
  ]);
};

export const npz: FuzzTarget = {
  name: 'npz',
  reads: 'npz archives and npy headers, stored and deflated (GemmaScope)',
  weight: 6,
  shortCases: 100,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seeds = ['stored.npz', 'deflated.npz', 'pickled.npz'].map((name) => seedBytes(`tensor-files/${name}`));
    return {
      make: (random) => ({ 'a.npz': chance(random, 0.5) ? mutateBytes(random, seeds) : builtNpz(random) }),
      decode: (input) => readAll(openNpz(`${write(input)}/a.npz`)),
    };
  },
};

export const anyTensorFile: FuzzTarget = {
  name: 'any-tensor-file',
  reads: 'noise, opened by its first bytes',
  weight: 6,
  shortCases: 60,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const starts = [
      Buffer.from('GGUF'),
      Buffer.from('PK\x03\x04', 'latin1'),
      Buffer.from('{"'),
      Buffer.alloc(8),
      Buffer.of(0x80, 2),
    ];
    return {
      make: (random) => {
        const noise = randomBytes(random, random.below(400));
        return { weights: chance(random, 0.7) ? Buffer.concat([one(random, starts), noise]) : noise };
      },
      decode: (input) => readAll(openTensorFile(`${write(input)}/weights`)),
    };
  },
};
