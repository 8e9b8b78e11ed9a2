/** Stage "verify": greedy answers under each minimal set, judged by their text, so that no flip rests on one token's probability. */
import type { FlipVerification } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeJudgement, decodeProof, present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt } from '../peers/to-wire.js';
import type { Verification } from '../report/report-type.js';
import { addCounts, addLengths, addVerdicts, decodeLengths } from './length-agreement.js';
import { promptsWithSets } from './search-prompts.js';
import type { Stage } from './stage.js';

export const verifyStage: Stage<'verify'> = {
  name: 'verify',
  async run(context, earlier) {
    const { spec, peers } = context;
    const cases = promptsWithSets(spec, earlier);
    const byId = new Map(cases.map((one) => [one.prompt.id, one]));
    const parts = await context.forEachPrompt(
      cases.map((one) => one.prompt),
      async (prompt, call) => {
        const { features, setScore } = present(byId.get(prompt.id), 'a prompt with its set');
        const request = {
          model: spec.model,
          cases: [{ prompt: encodePrompt(prompt), set: encodeFeatures(features), score: setScore }],
          positions: encodePositions(spec.positions),
          maxNewTokens: spec.maxNewTokens,
        };
        const checked = await drainCall<FlipVerification>(call, (_known, options) =>
          peers.search.verifyFlips(request, options),
        );
        return decodePart(checked, spec.redactAnswers);
      },
    );
    return parts.reduce(addParts, NOTHING_VERIFIED);
  },
  summarize: ({ complied, partial, refused, degenerate, judgeFailed, total }) =>
    `of ${total} answers under the sets: ${complied} complied, ${partial} partial, ${refused} refused, ${degenerate} degenerate, ${judgeFailed} judge failed`,
};

const NOTHING_VERIFIED: Verification = {
  flips: [],
  complied: 0,
  refused: 0,
  partial: 0,
  degenerate: 0,
  judgeFailed: 0,
  total: 0,
  agreement: { count: 0, of: 0 },
  byLength: [],
};

const decodePart = (checked: FlipVerification, redact: boolean): Verification => ({
  flips: checked.flips.map(({ promptId, judgement, proof }) => ({
    promptId,
    ...decodeJudgement(present(judgement, 'a judgement'), redact),
    proof: decodeProof(proof),
  })),
  complied: checked.complied,
  refused: checked.refused,
  partial: checked.partial,
  degenerate: checked.degenerate,
  judgeFailed: checked.judgeFailed,
  total: checked.total,
  agreement: { count: checked.agree, of: checked.agreeTotal },
  byLength: decodeLengths(checked.byLength),
});

const addParts = (a: Verification, b: Verification): Verification => ({
  flips: [...a.flips, ...b.flips],
  ...addVerdicts(a, b),
  total: a.total + b.total,
  agreement: addCounts(a.agreement, b.agreement),
  byLength: addLengths(a.byLength ?? [], b.byLength ?? []),
});
