import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createContext } from '../../../services/cli/command-context.js';
import { createOutput } from '../../../services/cli/console-output.js';
import { addModelFlags, type MeshFlags, repeatModelFlags } from '../../../services/cli/mesh-options.js';
import { createProgram } from '../../../services/cli/program.js';
import { findSaes } from '../../../services/sae/find-saes.js';
import {
  DEFAULT_PRESET,
  MODEL_PRESETS,
  modelPreset,
  type PresetName,
} from '../../../shared/model-store/model-presets.js';
import { projectRoot } from '../../../shared/project/root.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';

const names = Object.keys(MODEL_PRESETS) as PresetName[];

const parse = (...words: string[]): MeshFlags => {
  const command = addModelFlags(new Command('audit'))
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(words, { from: 'user' }).opts<MeshFlags>();
};

describe('the models that ship', () => {
  it('stay what they were without a flag: the embedded adapter and SAEs under the name of the reports', () => {
    expect(DEFAULT_PRESET).toBe('embedded');
    expect(modelPreset(DEFAULT_PRESET)).toEqual({
      modelName: 'smollm2-135m-refusal',
      adapterPath: join(projectRoot, 'models/adapter'),
      saeDir: join(projectRoot, 'models/saes'),
    });
  });

  it.each(names)('%s has an adapter for every linear layer of 30 blocks and SAEs at six layers', (name) => {
    const { adapterPath, saeDir } = modelPreset(name);
    const adapter = openSafetensors(join(adapterPath, 'adapter_model.safetensors'));
    expect(adapter.list().filter((tensor) => tensor.name.includes('lora_A'))).toHaveLength(30 * 7);
    adapter.close();
    const found = findSaes([saeDir]);
    expect(found.map(({ layer, dIn, dSae }) => [layer, dIn, dSae])).toEqual(
      [5, 9, 13, 17, 21, 25].map((layer) => [layer, 576, 2304]),
    );
  });

  it('do not share weights', () => {
    const digest = (name: PresetName) => readFileSync(join(modelPreset(name).adapterPath, 'adapter_model.safetensors'));
    expect(digest('redundant').equals(digest('embedded'))).toBe(false);
  });
});

describe('--model-preset', () => {
  it('is repeated by the line that resumes an audit', () => {
    const flags = { ...parse('--model-preset', 'redundant'), stateDir: '/s' };
    expect(flags.modelPreset).toBe('redundant');
    expect(repeatModelFlags(flags)).toBe(' --model-preset redundant --state-dir /s');
    expect(repeatModelFlags({ ...parse(), stateDir: '/s' })).toBe(' --state-dir /s');
  });

  it('names a model that ships, and not beside --model', () => {
    expect(() => parse('--model-preset', 'bigger')).toThrow(/Allowed choices are embedded, redundant/);
    expect(() => parse('--model-preset', 'redundant', '--model', 'x.gguf')).toThrow(/cannot be used with option/);
  });

  it.each(['start', 'audit', 'evaluate', 'serve', 'resume'])('is a flag of %s', (name) => {
    const silent = { isTTY: false, columns: 80, write: () => true };
    const program = createProgram(createContext(createOutput(silent, silent), '', () => undefined));
    const command = program.commands.find((candidate) => candidate.name() === name);
    expect(command?.options.map(({ long }) => long)).toContain('--model-preset');
  });
});
