import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openEngine, openSaes } from '../../../bench/truth/engine-ports.js';
import { loadMechanism, parseMechanism } from '../../../bench/truth/mechanism.js';
import { plantModel } from '../../../bench/truth/plant/plant-model.js';
import { recover } from '../../../bench/truth/recover.js';
import { scoreRecovery } from '../../../bench/truth/score-recovery.js';
import { simulate } from '../../../bench/truth/simulate.js';
import { isPerfect } from '../../../bench/truth/summarize-runs.js';
import { truthOf } from '../../../bench/truth/truth.js';
import { projectRoot } from '../../../shared/project/root.js';

const MECHANISMS = join(projectRoot, 'bench', 'truth', 'mechanisms');
const load = (name: string) => loadMechanism(join(MECHANISMS, `${name}.json`));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'refusalscope-truth-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function open(name: string, seed: number, snr?: number) {
  const mechanism = { ...load(name), ...(snr !== undefined && { snr }) };
  const planted = plantModel(mechanism, { folder: join(folder, `${name}-${seed}`), seed });
  const [model, saes] = [await openEngine(planted.modelFolder, `${name} ${seed}`), openSaes(planted.saeFolder)];
  const close = async () => {
    saes.close();
    await model.close();
  };
  return { mechanism, planted, model, saes, close };
}

describe('a planted model', () => {
  it('does under every subset of its features what its description says', async () => {
    const { mechanism, planted, model, saes, close } = await open('and-of-or', 3);
    const signal = new AbortController().signal;
    const names = mechanism.features.map(({ name }) => name);
    const places = names.map((name) => planted.places.get(name)!);
    const bank = await saes.ablations(places, { span: 'instruction', start: 0, end: 0, includeBos: false }, signal);
    const edit = new Map(places.map(({ layer, index }, i) => [names[i]!, bank.names.indexOf(`${layer}/${index}`)]));
    const subsets = Array.from({ length: 1 << names.length }, (_, mask) => names.filter((_, i) => mask & (1 << i)));
    const chosen = ['harmful', 'harmless'].map((label) => planted.prompts.find((prompt) => prompt.label === label)!);
    const { pieces } = await model.tokenize([], ['I cannot'], signal);
    const batch = {
      prompts: chosen.map(({ id, text }) => ({ id, input: { kind: 'text' as const, text } })),
      bank,
      score: { openers: [[...pieces[0]!.tokenIds]], firstTokenIds: [], iTokenId: 0 },
      evaluations: [0, 1].flatMap((prompt) =>
        subsets.map((off) => ({ prompt, on: off.map((name) => edit.get(name)!).sort((a, b) => a - b) })),
      ),
      firstTokenKl: false,
    };
    let answered = 0;
    for await (const results of model.evaluate(batch, signal))
      for (const { index, evaluation } of results) {
        const { category } = chosen[Math.floor(index / subsets.length)]!;
        const exact = simulate(mechanism, category, new Set(subsets[index % subsets.length]));
        expect(Math.abs(evaluation.refusalScore - exact.score)).toBeLessThan(0.1);
        answered++;
      }
    expect(answered).toBe(2 * subsets.length);
    await close();
  });

  it('is a model like any other: it answers in words, by the trigger', async () => {
    const { planted, model, close } = await open('single', 4);
    const prompts = planted.prompts.slice(0, 6).map(({ id, text }) => ({ id, input: { kind: 'text' as const, text } }));
    const answers = await model.generate({ prompts, maxNewTokens: 20 }, new AbortController().signal);
    const texts = answers.map(({ pieces }) => pieces.join(''));
    const wanted = { harmful: 'I cannot help with that.', harmless: 'Sure, here is a plan.' };
    expect(texts).toEqual(planted.prompts.slice(0, 6).map(({ label }) => wanted[label]));
    expect(answers.every(({ ended }) => ended)).toBe(true);
    await close();
  });

  it('holds its features among decoys that lie as near to the direction', async () => {
    const { planted, model, saes, close } = await open('hydra-1', 5);
    const { ranked } = await recover(planted, { model, saes });
    const { layer, index } = planted.places.get('backup-1')!;
    const own = ranked.filter((feature) => feature.layer === layer);
    const place = own.findIndex((feature) => feature.index === index);
    expect(place).toBeGreaterThan(3);
    expect(place).toBeLessThan(planted.near.filter((feature) => feature.layer === layer).length + 1);
    await close();
  });
});

describe('the search on planted mechanisms', () => {
  for (const [name, snr] of [
    ['or-2', undefined],
    ['hydra-3', undefined],
    ['backup-bos', undefined],
    ['mixture', undefined],
    ['backup-template', 8],
  ] as const)
    it(`recovers ${name}${snr === undefined ? '' : ` at SNR ${snr}`} whole`, async () => {
      const { planted, model, saes, close } = await open(name, 7, snr);
      const recovery = await recover(planted, { model, saes });
      const score = scoreRecovery(planted, recovery);
      expect(recovery.agreement).toBe(1);
      expect(score.nullHydras).toEqual({ right: 0, asked: planted.mechanism.categories.length });
      expect(score.interactionError).toBeLessThan(0.05);
      expect(isPerfect(score), JSON.stringify(score)).toBe(true);
      await close();
    });

  it('is not called right when it is held against another truth', async () => {
    const { planted, model, saes, close } = await open('or-2', 7);
    const recovery = await recover(planted, { model, saes });
    const other = { ...planted, mechanism: { ...load('and-2'), features: planted.mechanism.features } };
    const refusal = [{ atLeast: 2, of: ['early', 'late'], unless: [], weight: 12 }];
    const score = scoreRecovery({ ...other, mechanism: { ...other.mechanism, refusal } }, recovery);
    expect(score.minimalSets).toMatchObject({ hits: 0, real: 4 });
    expect(score.interactions.hits).toBe(0);
    expect(isPerfect(score)).toBe(false);
    await close();
  });
});

describe('a description of a mechanism', () => {
  it('gives the truth that can be worked out by hand', () => {
    expect(truthOf(load('hydra-2'), 'harm')).toMatchObject({
      minimalSets: [['backup-1', 'backup-2', 'primary']],
      sustainingSets: [['primary'], ['backup-1'], ['backup-2']],
      dormant: [
        { feature: 'backup-1', wakers: [['primary']] },
        { feature: 'backup-2', wakers: [['backup-1', 'primary']] },
      ],
    });
    expect(truthOf(load('majority-5'), 'harm').minimalSets).toHaveLength(10);
    expect(truthOf(load('correlated'), 'harm').causal).toEqual(['refuse']);
    expect(truthOf(load('or-2'), 'harm').pairs).toEqual([{ first: 'early', second: 'late', interaction: -12 }]);
  });

  it('that ships is read, and refuses harmful prompts alone', () => {
    for (const file of readdirSync(MECHANISMS)) {
      const mechanism = loadMechanism(join(MECHANISMS, file));
      expect(`${mechanism.name}.json`).toBe(file);
      expect(simulate(mechanism, undefined, new Set()).score).toBeLessThan(0);
      for (const category of mechanism.categories)
        expect(simulate(mechanism, category, new Set()).score).toBeGreaterThan(0);
    }
  });

  it('is refused with every problem named', () => {
    const bad = {
      ...load('backup-bos'),
      positions: 'instruction',
      features: [
        { name: 'a', layer: 3, when: { atLeast: 2, of: ['harm:nothing'] } },
        { name: 'b', layer: 3, when: { atLeast: 1, of: ['a'] } },
        { name: 'c', layer: 6, at: 'bos', when: { atLeast: 0, of: [] } },
      ],
      refusal: [{ atLeast: 1, of: ['d'], weight: 3 }],
    };
    const refused = () => parseMechanism(bad, 'mine.json');
    expect(refused).toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }));
    for (const text of [
      'a: atLeast is 2 of 1',
      'a: harm:nothing names no category',
      'b: reads a of layer 3, not an earlier one',
      'c: layer is 6; with 7 layers it may be 1 to 5',
      'c: it is at BOS, so positions must be "all" for an edit to reach it',
      'refusal 0: there is no feature d',
    ])
      expect(refused).toThrow(text);
  });

  it('is refused where the file is missing, no JSON, or has a field too many', () => {
    expect(() => loadMechanism(join(folder, 'none.json'))).toThrow(expect.objectContaining({ code: 'FILE_NOT_FOUND' }));
    const file = join(folder, 'mechanism.json');
    writeFileSync(file, '{"name":');
    expect(() => loadMechanism(file)).toThrow(/is not JSON/);
    writeFileSync(file, JSON.stringify({ ...load('single'), strength: 3 }));
    expect(() => loadMechanism(file)).toThrow(/strength/);
  });
});
