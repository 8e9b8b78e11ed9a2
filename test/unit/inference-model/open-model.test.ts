import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { TensorProto_DataType as DataType, ModelProto } from '../../../proto/gen/onnx/onnx.js';
import { Transformer } from '../../../services/inference/engine/transformer.js';
import { createWeights } from '../../../services/inference/graph/create-weights.js';
import { OnnxGraph } from '../../../services/inference/graph/onnx-graph.js';
import { buildRead } from '../../../services/inference/graph/read-graph.js';
import { openModel } from '../../../services/inference/model/open-model.js';
import { OrtSession } from '../../../services/inference/runtime/ort-session.js';
import { isFault } from '../../../shared/errors/fault.js';
import { modelFixtures } from './compare-model.js';

const scratch = mkdtempSync(join(tmpdir(), 'open-model-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const fixture = (...parts: string[]): string => join(modelFixtures, ...parts);

const failure = async (act: () => unknown): Promise<string> => {
  try {
    await act();
  } catch (thrown) {
    if (isFault(thrown)) return `${thrown.code}: ${thrown.message}`;
    throw thrown;
  }
  return 'no fault';
};

const copyOf = (model: string, name: string): string => {
  const folder = join(scratch, name);
  cpSync(fixture(model), folder, { recursive: true });
  return folder;
};

const edit = (folder: string, change: Record<string, unknown>): void => {
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
};

describe('a model is found by its path', () => {
  it('a folder of Hugging Face files, with every shard in the list of files', () => {
    const { format, files, weights } = openModel(fixture('llama-bf16-sharded'));
    expect(format).toBe('huggingface');
    expect(files.map((file) => file.slice(fixture('llama-bf16-sharded').length + 1))).toEqual([
      'config.json',
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
    ]);
    weights.close();
  });

  it('a GGUF file, and a folder that holds one', () => {
    const folder = join(scratch, 'one-gguf');
    mkdirSync(folder);
    copyFileSync(fixture('qwen3', 'model.gguf'), join(folder, 'model.gguf'));
    for (const path of [fixture('qwen3', 'model.gguf'), folder]) {
      const { format, files, spec, weights } = openModel(path);
      expect([format, spec.architecture, files.length]).toEqual(['gguf', 'qwen3', 1]);
      weights.close();
    }
  });

  it("an adapter's files count as the model's", () => {
    const { files, weights } = openModel(fixture('llama3'), fixture('llama3', 'adapter'));
    expect(files.slice(-2).map((file) => file.split('/').at(-1))).toEqual([
      'adapter_config.json',
      'adapter_model.safetensors',
    ]);
    weights.close();
  });

  it('the same numbers from both formats', () => {
    const plain = openModel(fixture('gemma3')).spec;
    const gguf = openModel(fixture('gemma3', 'model.gguf')).spec;
    // The converter has added Gemma's 1 to the norms; metadata are float32.
    expect({ ...gguf, normOffset: 1 }).toEqual({ ...plain, rmsEpsilon: Math.fround(plain.rmsEpsilon) });
  });
});

describe('what is refused', () => {
  it('folders without a model, and with two', async () => {
    const folder = join(scratch, 'two-gguf');
    mkdirSync(folder);
    expect(await failure(() => openModel(folder))).toBe(
      `FILE_NOT_FOUND: ${folder} holds neither config.json nor a .gguf file. Give a folder of Hugging Face files, or a GGUF file.`,
    );
    for (const name of ['a.gguf', 'b.GGUF']) copyFileSync(fixture('qwen3', 'model.gguf'), join(folder, name));
    expect(await failure(() => openModel(folder))).toBe(
      `FILE_NOT_FOUND: ${folder} holds 2 GGUF files (a.gguf, b.GGUF). Name the one to use.`,
    );
    expect(await failure(() => openModel(join(scratch, 'none')))).toMatch(/^FILE_NOT_FOUND: .*none cannot be read/);
  });

  it('a config whose numbers do not fit the weights, naming the tensor', async () => {
    const folder = copyOf('llama3', 'other-width');
    edit(folder, { intermediate_size: 48 });
    expect(await failure(() => openModel(folder))).toBe(
      `SHAPE_MISMATCH: ${folder}: tensor "model.layers.0.mlp.gate_proj.weight" is [32, 32]; the model's numbers give [48, 32]. The config is of another model, or was edited.`,
    );
  });

  it('a config with more layers than the weights', async () => {
    const folder = copyOf('mistral', 'more-layers');
    edit(folder, { num_hidden_layers: 3 });
    expect(await failure(() => openModel(folder))).toMatch(
      /^TENSOR_NOT_FOUND: .* has no tensor "model\.layers\.2\.self_attn\.q_proj\.weight" \[64, 32\], which the mistral model needs/,
    );
  });

  it('a family whose tensors are missing: Qwen 2.5 without biases, Gemma 2 without its fourth norm', async () => {
    const qwen = copyOf('llama3', 'qwen-without-bias');
    edit(qwen, { model_type: 'qwen2', rope_parameters: { rope_type: 'default', rope_theta: 1e4 } });
    expect(await failure(() => openModel(qwen))).toContain('has no tensor "model.layers.0.self_attn.q_proj.bias" [32]');
    const gemma = copyOf('llama3', 'gemma-without-norms');
    edit(gemma, { model_type: 'gemma2', rope_parameters: { rope_type: 'default', rope_theta: 1e4 }, head_dim: 8 });
    expect(await failure(() => openModel(gemma))).toContain(
      'no tensor "model.layers.0.pre_feedforward_layernorm.weight"',
    );
  });

  it('GGUF files of other families', async () => {
    const bytes = readFileSync(fixture('qwen3', 'model.gguf'));
    const at = bytes.indexOf('qwen3', bytes.indexOf('general.architecture'));
    bytes.write('mamba', at);
    const path = join(scratch, 'mamba.gguf');
    writeFileSync(path, bytes);
    expect(await failure(() => openModel(path))).toBe(
      `TENSOR_FILE_UNSUPPORTED: ${path}: metadata "general.architecture" is "mamba", which is not read here. Supported are llama, mistral, qwen2, qwen3, gemma2, gemma3.`,
    );
  });

  it('an adapter of another model', async () => {
    expect(await failure(() => openModel(fixture('gemma2'), fixture('llama3', 'adapter')))).toBe(
      `SHAPE_MISMATCH: The adapter's "model.layers.0.mlp.down_proj.weight" is [32, 4] x [4, 32] with rank 4; the model's weight is [24, 32]. Use the adapter that was trained on this model.`,
    );
  });

  it('an adapter with a tensor or a pattern that is not understood', async () => {
    const adapter = join(copyOf('llama3', 'odd-adapter'), 'adapter');
    const config = join(adapter, 'adapter_config.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, JSON.stringify({ ...JSON.parse(text), alpha_pattern: { '^model.*q_proj': 1 } }));
    expect(await failure(() => openModel(fixture('llama3'), adapter))).toContain(
      'is "^model.*q_proj", which is not read here',
    );
    writeFileSync(config, text);
    const file = join(adapter, 'adapter_model.safetensors');
    const bytes = readFileSync(file);
    bytes.write('lora_Q', bytes.indexOf('lora_A'));
    writeFileSync(file, bytes);
    expect(await failure(() => openModel(fixture('llama3'), adapter))).toMatch(
      /lora_Q.*Only lora_A and lora_B of linear layers are/,
    );
  });

  it('mapping a GGUF file, and half precision without mapping', async () => {
    const model = openModel(fixture('qwen3', 'model.gguf'));
    expect(await failure(() => createWeights(model, { mode: 'mapped' }))).toMatch(/^UNSUPPORTED: .*safetensors only/);
    expect(await failure(() => createWeights(model, { mode: 'copied', computeType: 'float16' }))).toMatch(
      /^UNSUPPORTED: .*float16 needs safetensors/,
    );
    model.weights.close();
  });

  it('bfloat16 on the CPU; elsewhere the stored matrices go into the products as they are', async () => {
    const model = openModel(fixture('gemma2-bf16'));
    const bfloat16 = { mode: 'mapped', computeType: 'bfloat16' } as const;
    expect(await failure(() => createWeights(model, bfloat16))).toMatch(/^UNSUPPORTED: .*no bfloat16 products/);
    const { sink } = createWeights(model, { ...bfloat16, device: 'cuda' });
    const graph = new OnnxGraph('one product');
    const x = graph.input('x', 'float32', ['N', model.spec.dModel]);
    graph.output(sink.linear(graph, x, 'model.layers.0.mlp.up_proj'), 'y', 'float32', ['N', 'F']);
    const { node, initializer } = ModelProto.decode(graph.encode()).graph!;
    expect(node.map(({ opType }) => opType)).toEqual(['Cast', 'FusedMatMul', 'Cast']);
    expect(initializer.map(({ dataType }) => dataType)).toEqual([DataType.BFLOAT16]);
    model.weights.close();
  });

  it('a device whose provider is not here, by name', async () => {
    const create = () => OrtSession.create(buildRead(8), { threads: 1, device: 'cuda' });
    expect(await failure(create)).toBe(
      `UNSUPPORTED: The device "cuda" is not usable here: onnxruntime could not load its execution provider. Use device "cpu", or install the provider's libraries.`,
    );
  });
});

describe('where the files lie', () => {
  it('a folder of links, as the cache of the Hugging Face hub has them, maps to the real files', async () => {
    const blobs = join(scratch, 'hub/blobs');
    const snapshot = join(scratch, 'hub/snapshots/main');
    for (const folder of [blobs, snapshot]) mkdirSync(folder, { recursive: true });
    for (const [i, file] of openModel(fixture('llama-bf16-sharded')).files.entries()) {
      copyFileSync(file, join(blobs, `${i}`));
      symlinkSync(`../../blobs/${i}`, join(snapshot, file.split('/').at(-1) as string));
    }
    copyFileSync(
      fixture('llama-bf16-sharded', 'model.safetensors.index.json'),
      join(snapshot, 'model.safetensors.index.json'),
    );
    const model = openModel(snapshot);
    const { sink, runtime } = createWeights(model, { mode: 'mapped-stored' });
    expect(runtime.weightsFolder).toBe(blobs);
    const transformer = await Transformer.create(model.spec, model.weights, sink, {
      threads: 1,
      device: 'cpu',
      ...runtime,
    });
    await transformer.close();
  });

  it.each(['language_model.model.', 'model.language_model.', ''])('the language model below "%s"', (prefix) => {
    const folder = join(scratch, `prefix-${prefix}`);
    mkdirSync(folder);
    copyFileSync(fixture('gemma2-bf16', 'config.json'), join(folder, 'config.json'));
    const bytes = readFileSync(fixture('gemma2-bf16', 'model.safetensors'));
    const length = Number(bytes.readBigUInt64LE());
    const header = Buffer.from(
      bytes
        .toString('utf8', 8, 8 + length)
        .trimEnd()
        .replaceAll('"model.', `"${prefix}`),
    );
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    writeFileSync(join(folder, 'model.safetensors'), Buffer.concat([size, header, bytes.subarray(8 + length)]));
    const [moved, plain] = [openModel(folder), openModel(fixture('gemma2-bf16'))];
    const name = 'model.layers.1.mlp.up_proj.weight';
    expect(moved.weights.readFloat32(name)).toEqual(plain.weights.readFloat32(name));
    for (const model of [moved, plain]) model.weights.close();
  });
});
