/**
 * Cross-entropy of plain text, without the chat template, clean and with the first features of stage 3 off: what a suppression that flips
 * refusals does to the model besides.
 */
import type { EditBank } from '../../../../proto/gen/refusalscope/v1/types.js';
import { encodeMaskIndices } from '../../../../shared/tensors/mask-bits.js';
import { encodePositions } from '../../../../shared/tensors/positions.js';
import { present } from '../../peers/from-wire.js';
import { encodeFeatures, encodePrompt } from '../../peers/to-wire.js';
import type { TextCost } from '../../report/paper-facts.js';
import type { StageContext } from '../stage.js';

const MAX_TEXTS = 64;
const TEXTS_A_CALL = 16;
/** Tokens of each text that are scored: the rest says the same at more cost. */
const MAX_TOKENS = 256;

/** `features` in the order of their ranking; one value an entry of `counts`. */
export const measurePlainText = async (
  context: StageContext,
  features: readonly string[],
  counts: readonly number[],
): Promise<TextCost[]> => {
  const { spec, peers, signal } = context;
  const positions = encodePositions({ ...spec.positions, span: 'all' });
  const { bank } = await peers.sae.getEditRows(
    { features: encodeFeatures(features), target: 0, positions },
    { signal },
  );
  const harmless = spec.prompts.flatMap(({ label, input }) =>
    label === 'harmless' && 'text' in input ? [input.text] : [],
  );
  const costs: TextCost[] = [];
  for (const [text, all] of [
    ['harmless prompts', harmless],
    ['plain text', spec.paper?.plainTexts ?? []],
  ] as const) {
    const texts = await tokenize(context, all.slice(0, MAX_TEXTS));
    if (texts.length > 0) costs.push(await measure(context, text, texts, present(bank, 'a bank'), features, counts));
  }
  return costs;
};

/** Each text as BOS (where the model has one) and its tokens; those too short to score are left out. */
const tokenize = async ({ spec, peers, signal }: StageContext, texts: readonly string[]): Promise<number[][]> => {
  const first = present(spec.prompts[0], 'a prompt');
  const request = { model: spec.model, prompts: [encodePrompt(first)], pieces: [...texts] };
  const { prompts, pieces } = await peers.inference.tokenize(request, { signal });
  // A chat begins with BOS, or with a token of its template where the model has none.
  const opening = present(prompts[0]?.tokenIds[0], 'the first token of a prompt');
  return pieces.map(({ tokenIds }) => [opening, ...tokenIds.slice(0, MAX_TOKENS)]).filter(({ length }) => length > 2);
};

const measure = async (
  context: StageContext,
  text: TextCost['text'],
  texts: readonly (readonly number[])[],
  bank: EditBank,
  features: readonly string[],
  counts: readonly number[],
): Promise<TextCost> => {
  const clean = await crossEntropy(context, texts);
  const ablated = [];
  for (const count of counts) {
    const on = new Set(features.slice(0, count));
    const names = bank.layers.flatMap((layer) => layer.names);
    const bits = encodeMaskIndices(
      names.flatMap((name, i) => (on.has(name) ? [i] : [])),
      names.length,
    );
    ablated.push({ features: count, natsPerToken: await crossEntropy(context, texts, { bank, bits }) });
  }
  const tokens = texts.reduce((sum, ids) => sum + ids.length - 1, 0);
  return { text, texts: texts.length, tokens, clean, ablated };
};

/** Mean over all tokens, nats. */
const crossEntropy = async (
  { spec, peers, signal }: StageContext,
  texts: readonly (readonly number[])[],
  edits?: { readonly bank: EditBank; readonly bits: Buffer },
): Promise<number> => {
  let nats = 0;
  let tokens = 0;
  for (let i = 0; i < texts.length; i += TEXTS_A_CALL) {
    const part = texts.slice(i, i + TEXTS_A_CALL);
    const { natsPerToken } = await peers.inference.measureCrossEntropy(
      {
        model: spec.model,
        prompts: part.map((ids, n) => ({
          id: String(n),
          input: { $case: 'tokenIds' as const, value: { ids: ids.slice(0, 1) } },
          instructionStart: 0,
        })),
        continuations: part.map((ids) => ({ ids: ids.slice(1) })),
        masks: edits === undefined ? [] : [{ bits: edits.bits }],
        ...(edits !== undefined && { bank: { bank: { $case: 'inline' as const, value: edits.bank } } }),
      },
      { signal },
    );
    part.forEach((ids, n) => {
      nats += (natsPerToken[n] ?? 0) * (ids.length - 1);
      tokens += ids.length - 1;
    });
  }
  return nats / tokens;
};
