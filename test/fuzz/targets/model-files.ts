/** The small files of a model: config.json of every family, and PEFT adapters with their tensors. */
import { readHuggingfaceConfig } from '../../../services/inference/model/huggingface-config.js';
import { huggingfaceSpec } from '../../../services/inference/model/huggingface-model.js';
import { HuggingfaceWeights } from '../../../services/inference/model/huggingface-weights.js';
import { LoraAdapter } from '../../../services/inference/model/lora-adapter.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { isRead } from '../harness/try-case.js';
import { chance, one } from '../mutate/edge-values.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateSafetensors } from '../mutate/mutate-safetensors.js';
import { createScratchFiles } from './scratch-files.js';
import { seedBytes, seedJson } from './seeds.js';

const FAMILIES = ['gemma2', 'gemma3', 'gemma3-multimodal', 'llama3', 'mistral', 'qwen2', 'qwen2-sliding', 'qwen3'];

export const modelConfig: FuzzTarget = {
  name: 'model-config',
  reads: 'config.json of Llama, Mistral, Qwen 2 and 3, Gemma 2 and 3',
  weight: 8,
  shortCases: 130,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seeds = FAMILIES.map((family) => seedJson(`models/${family}/config.json`));
    return {
      make: (random) => ({ 'config.json': mutateJsonText(random, one(random, seeds)) }),
      decode: (input) => {
        const { nLayers, isLocal, headDim, rope } = huggingfaceSpec(readHuggingfaceConfig(write(input)));
        if (isLocal.length !== nLayers) throw new Error(`${isLocal.length} flags for ${nLayers} layers`);
        const divisors = rope.frequencyDivisors?.length ?? headDim / 2;
        if (divisors !== headDim / 2) throw new Error(`${divisors} divisors for heads of ${headDim}`);
        return true;
      },
    };
  },
};

const CONFIG = 'adapter_config.json';
const FILE = 'adapter_model.safetensors';

export const loraAdapter: FuzzTarget = {
  name: 'lora-adapter',
  reads: 'PEFT adapter_config.json and its tensors, against a base model',
  weight: 5,
  shortCases: 60,
  open: (scratch) => {
    const write = createScratchFiles(`${scratch}/adapter`);
    const writeBase = createScratchFiles(`${scratch}/base`);
    const folder = writeBase({ 'model.safetensors': seedBytes('models/llama3/model.safetensors') });
    const source = openSafetensors(folder);
    const base = new HuggingfaceWeights(source);
    const names = source.list().map(({ name }) => name);
    const files = {
      [CONFIG]: seedBytes(`models/llama3/adapter/${CONFIG}`),
      [FILE]: seedBytes(`models/llama3/adapter/${FILE}`),
    };
    const config = JSON.parse(files[CONFIG]!.toString('utf8')) as Json;
    return {
      make: (random) =>
        chance(random, 0.6)
          ? { ...files, [CONFIG]: mutateJsonText(random, config) }
          : { ...files, [FILE]: mutateSafetensors(random, [files[FILE]!]) },
      decode: (input) => {
        const adapter = new LoraAdapter(write(input), base);
        try {
          const changed = names.filter((name) => adapter.find(name) !== undefined);
          return changed.every((name) => isRead(() => [adapter.readA(name), adapter.readB(name)]));
        } finally {
          adapter.close();
        }
      },
      close: async () => source.close(),
    };
  },
};
