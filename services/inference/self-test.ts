/**
 * Before a pod says that it is ready: edits at several depths really act on this model, on this machine, with these files. Each layer is
 * steered alone and must move the score and leave a proof; an edit of strength 0 beside them must do nothing.
 * Prevents: a pod that serves plausible numbers of a model whose edits go nowhere (a wrong cut, a driver, a damaged file).
 */
import { fault } from '../../shared/errors/fault.js';
import { encodeMaskIndices } from '../../shared/tensors/mask-bits.js';
import { INSTRUCTION_POSITIONS } from '../../shared/tensors/positions.js';
import type { LayerEditsInput } from './engine/edit-bank.js';
import type { EvaluationOutput } from './engine/pending-evaluation.js';
import type { PromptInput } from './engine/scored-prompt.js';
import type { EngineThread } from './thread/messages.js';
import type { ChatTokenizer } from './tokenizer/chat-tokenizer.js';

export interface SelfTestResult {
  readonly layers: readonly number[];
  /** How far each steered layer moved the score, in log-odds. */
  readonly moved: readonly number[];
}

const PROMPT = 'Name a colour of the sky.';
/** Shares of the depth that are steered. */
const DEPTHS = [0.25, 0.5, 0.75];
/** Of the residual's norm: enough to move any score, small enough to stay finite in float16. */
const STRENGTH = 0.5;
/** In log-odds: far over what rounding moves (docs/numerics.md), far under what half a norm moves. */
const MIN_MOVE = 1e-4;

/** Throws SELF_TEST_FAILED with the layer and what was seen. */
export const assertEditsAct = async (engine: EngineThread, tokenizer: ChatTokenizer): Promise<SelfTestResult> => {
  const { nLayers, dModel } = engine.ready.spec;
  const layers = [...new Set(DEPTHS.map((depth) => Math.min(nLayers - 1, Math.floor(depth * nLayers))))];
  const { tokenIds, instructionStart } = tokenizer.encodeChat([{ role: 'user', content: PROMPT }]);
  const prompt: PromptInput = { tokenIds, instructionStart, promptLength: tokenIds.length };
  const norms = await residualNorms(engine, prompt, layers);
  const steering = layers.map((layer, i) => steer(layer, dModel, STRENGTH * (norms[i] as number)));
  // The control: the same row, strength 0.
  const bank = [...steering, steer(layers[0] as number, dModel, 0)];
  const results = await evaluateEach(engine, tokenizer, prompt, bank);
  const clean = results[0] as EvaluationOutput;
  assertUnmoved(clean, clean, 'no edit is on');
  assertUnmoved(results[bank.length] as EvaluationOutput, clean, 'an edit of strength 0 is on');
  return { layers, moved: layers.map((layer, i) => assertMoved(results[i + 1] as EvaluationOutput, clean, layer)) };
};

const noSignal = (): AbortSignal => new AbortController().signal;

const residualNorms = async (engine: EngineThread, prompt: PromptInput, layers: readonly number[]) => {
  const norms: number[] = [];
  await engine.run('capture', { prompts: [prompt], layers, positions: [-1], mask: undefined }, noSignal(), (event) => {
    for (const row of event.residuals) norms.push(Math.hypot(...row));
  });
  const bad = norms.findIndex((norm) => !(norm > 0) || !Number.isFinite(norm));
  if (norms.length === layers.length && bad === -1) return norms;
  throw failed(`the residual at layer ${layers[Math.max(0, bad)]} has norm ${norms[Math.max(0, bad)]}`);
};

/** One edit that adds `strength` times a fixed unit vector (Weyl's sequence, centred): z = 0, so x' = x + strength W. */
const steer = (layer: number, dModel: number, strength: number): LayerEditsInput => {
  const direction = Float32Array.from({ length: dModel }, (_, i) => (((i + 1) * 0.6180339887) % 1) - 0.5);
  const norm = Math.hypot(...direction);
  return {
    layer,
    read: new Float32Array(dModel),
    bias: new Float32Array(1),
    threshold: Float32Array.of(Number.NEGATIVE_INFINITY),
    target: Float32Array.of(strength),
    write: direction.map((value) => value / norm),
    positions: INSTRUCTION_POSITIONS,
  };
};

/** Nothing on, then each edit alone. */
const evaluateEach = async (
  engine: EngineThread,
  tokenizer: ChatTokenizer,
  prompt: PromptInput,
  layers: readonly LayerEditsInput[],
): Promise<EvaluationOutput[]> => {
  const [token = 0] = tokenizer.encode('I');
  const masks = [[], ...layers.map((_, i) => [i])];
  const results: EvaluationOutput[] = [];
  const input = {
    prompts: [prompt],
    bank: { layers },
    score: { openers: [[token]], firstTokenIds: [token], iTokenId: token },
    evaluations: masks.map((on) => ({ prompt: 0, bits: encodeMaskIndices(on, layers.length) })),
    firstTokenKl: false,
  };
  await engine.run('evaluate', input, noSignal(), (event) => {
    for (const result of event.results) results[result.index] = result;
  });
  return results;
};

const assertUnmoved = (
  { acted, proof, refusalScore }: EvaluationOutput,
  clean: EvaluationOutput,
  what: string,
): void => {
  if (!Number.isFinite(refusalScore)) throw failed(`the score is ${refusalScore} when ${what}`);
  if (acted || proof.length > 0) throw failed(`something acted when ${what}`);
  if (refusalScore !== clean.refusalScore) throw failed(`the score moved to ${refusalScore} when ${what}`);
};

/** How far the score moved. */
const assertMoved = (result: EvaluationOutput, clean: EvaluationOutput, layer: number): number => {
  const { acted, proof, refusalScore } = result;
  const [own, ...others] = proof;
  if (!acted || own?.layer !== layer || others.length > 0 || !(own.deltaNorm > 0)) {
    throw failed(
      `the proof of an edit at layer ${layer} names ${proof.map((part) => part.layer).join(', ') || 'nothing'}`,
    );
  }
  const moved = Math.abs(refusalScore - clean.refusalScore);
  if (moved >= MIN_MOVE) return moved;
  throw failed(`steering layer ${layer} by half its norm moved the score by ${moved}, under ${MIN_MOVE}`);
};

const failed = (what: string) =>
  fault('SELF_TEST_FAILED', `Edits do not act as they must on this model here: ${what}. The pod does not serve it.`);
