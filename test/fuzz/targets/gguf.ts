/** GGUF files: header, every tensor, the tokenizer inside, and a whole small model with its numbers held against its weights. */
import { openModel } from '../../../services/inference/model/open-model.js';
import { createTokenizerFromGguf } from '../../../services/inference/tokenizer/tokenizer-from-gguf.js';
import { openGguf } from '../../../shared/tensor-files/gguf.js';
import { readGgufTokenizer } from '../../../shared/tensor-files/gguf-tokenizer.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { isRead } from '../harness/try-case.js';
import { chance } from '../mutate/edge-values.js';
import { mutateBytes } from '../mutate/mutate-bytes.js';
import { builtGguf } from '../mutate/mutate-gguf.js';
import { readTensors } from './read-tensors.js';
import { createScratchFiles } from './scratch-files.js';
import { seedBytes } from './seeds.js';

export const gguf: FuzzTarget = {
  name: 'gguf',
  reads: 'GGUF header, every tensor, the tokenizer inside',
  weight: 8,
  shortCases: 100,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seeds = [seedBytes('tensor-files/quants.gguf')];
    return {
      make: (random) => ({ 'a.gguf': chance(random, 0.6) ? builtGguf(random) : mutateBytes(random, seeds) }),
      decode: (input) => {
        const file = openGguf(`${write(input)}/a.gguf`);
        try {
          const whole = readTensors(file);
          isRead(() => createTokenizerFromGguf(readGgufTokenizer(file)).encode('Hello, 42 wörlds'));
          return whole;
        } finally {
          file.close();
        }
      },
    };
  },
};

export const ggufModel: FuzzTarget = {
  name: 'gguf-model',
  reads: "a whole model in GGUF: its numbers against its weights' shapes",
  weight: 4,
  shortCases: 50,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seeds = [seedBytes('models/llama3/model-q8_0.gguf')];
    return {
      make: (random) => ({ 'model.gguf': mutateBytes(random, seeds, 3) }),
      decode: (input) => {
        const { weights } = openModel(`${write(input)}/model.gguf`);
        try {
          return isRead(() => weights.readFloat32('model.embed_tokens.weight', { start: 0, count: 1 }));
        } finally {
          weights.close();
        }
      },
    };
  },
};
