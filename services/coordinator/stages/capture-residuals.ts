/** Residuals of prompts, a few prompts at a time, so that neither a message nor our memory grows with the prompt set. */
import { decodeMatrix } from '../../../shared/tensors/matrix.js';
import type { AuditPrompt } from '../audit/audit-spec.js';
import { present } from '../peers/from-wire.js';
import { encodePrompt } from '../peers/to-wire.js';
import type { StageContext } from './stage.js';

export interface CapturedPrompt {
  readonly prompt: AuditPrompt;
  readonly positions: number;
  /** [positions, d_model] by layer. */
  readonly residuals: ReadonlyMap<number, Float32Array>;
}

// 16 prompts of 60 tokens at 6 layers of width 4096 are about 90 MB.
const PROMPTS_A_CALL = 16;

/** All positions of each prompt, in the order given. */
export async function* captureResiduals(
  { spec, peers, signal }: StageContext,
  prompts: readonly AuditPrompt[],
  layers: readonly number[],
  maxPrompts: number,
): AsyncGenerator<CapturedPrompt> {
  const size = Math.min(PROMPTS_A_CALL, maxPrompts);
  const ascending = [...layers].sort((a, b) => a - b);
  for (let i = 0; i < prompts.length; i += size) {
    const chunk = prompts.slice(i, i + size);
    const request = { model: spec.model, prompts: chunk.map(encodePrompt), layers: ascending };
    for await (const response of peers.inference.captureResiduals(request, { signal })) {
      const residuals = new Map(
        response.layers.map(({ layer, residual }) => {
          const name = `residual of layer ${layer}`;
          return [layer, decodeMatrix(residual, { name, rows: response.positions.length }).data];
        }),
      );
      const prompt = present(chunk[response.promptIndex], 'the prompt of a residual');
      yield { prompt, positions: response.positions.length, residuals };
    }
  }
}
