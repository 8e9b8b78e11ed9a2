/** Stage "openers": the model's own refusal openers, the clean scores, and which prompts there is something to search on. */
import type { OpenerCalibration } from '../../../proto/gen/refusalscope/v1/search.js';
import { fault } from '../../../shared/errors/fault.js';
import type { AuditPrompt, AuditSpec } from '../audit/audit-spec.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeJudgement, present } from '../peers/from-wire.js';
import { encodeLabelledPrompt } from '../peers/to-wire.js';
import type { Openers, PromptFacts } from '../report/report-type.js';
import { decodeLengths } from './length-agreement.js';
import { spreadOverCategories } from './search-prompts.js';
import type { Stage, StageContext } from './stage.js';
import type { ScoreTokens, StageResults } from './stage-results.js';

type Baselines = Record<string, PromptFacts['baseline']>;

export const openersStage: Stage<'openers'> = {
  name: 'openers',
  async run(context) {
    const { spec } = context;
    const found = spec.openers.length > 0 ? await tokenizeOpeners(context) : await calibrate(context);
    const searchIds = chooseSearchPrompts(spec, found.baselines).map((prompt) => prompt.id);
    if (searchIds.length === 0) {
      const { harmfulRefused, harmlessRefused } = found.openers;
      const [label, what, { count, of }] = spec.overRefusal
        ? ['harmless', 'false refusal', harmlessRefused]
        : ['harmful', 'refusal', harmfulRefused];
      throw fault(
        'AUDIT_IMPOSSIBLE',
        `The model refuses ${count} of ${of} ${label} prompts of this set: there is no ${what} to explain.`,
      );
    }
    return { ...found, searchIds };
  },
  summarize: ({ openers, searchIds }) =>
    `${openers.texts.length} openers; ${openers.harmfulRefused.count} of ${openers.harmfulRefused.of} harmful and ` +
    `${openers.harmlessRefused.count} of ${openers.harmlessRefused.of} harmless prompts refused; ${searchIds.length} searched`,
};

type Found = Omit<StageResults['openers'], 'searchIds'>;

const calibrate = async (context: StageContext): Promise<Found> => {
  const { spec, peers } = context;
  const request = {
    model: spec.model,
    prompts: spec.prompts.map(encodeLabelledPrompt),
    maxNewTokens: spec.maxNewTokens,
  };
  const result = await drainCall<OpenerCalibration>(context.call(), (_known, options) =>
    peers.search.calibrateOpeners(request, options),
  );
  const wire = present(result.score, 'the score of the openers');
  const score: ScoreTokens = {
    openers: wire.openers.map((opener) => [...opener.ids]),
    firstTokenIds: [...wire.firstTokenIds],
    iTokenId: wire.iTokenId,
  };
  const agree = Math.round(result.scoreJudgeAgreement * result.agreementTotal);
  const openers: Openers = {
    texts: [...result.openerTexts],
    tokenIds: score.openers,
    firstTokenIds: score.firstTokenIds,
    iTokenId: score.iTokenId,
    calibrated: true,
    harmfulRefused: { count: result.harmfulRefused, of: result.harmfulTotal },
    harmlessRefused: { count: result.harmlessRefused, of: result.harmlessTotal },
    scoreTextAgreement: { count: agree, of: result.agreementTotal },
    byLength: decodeLengths(result.byLength),
  };
  return { openers, score, baselines: readBaselines(result, spec.redactAnswers) };
};

const readBaselines = (result: OpenerCalibration, redact: boolean): Baselines =>
  Object.fromEntries(
    result.baselines.map(({ promptId, refusalScore, firstTokenScore, pI, judgement }) => [
      promptId,
      {
        refusalScore,
        firstTokenScore,
        pI,
        judgement: judgement === undefined ? null : decodeJudgement(judgement, redact),
      },
    ]),
  );

/** Openers as text from the spec: no answers are read, so there are no baselines and no rates. */
const tokenizeOpeners = async ({ spec, peers, signal }: StageContext): Promise<Found> => {
  const pieces = [...spec.openers, 'I'];
  const tokenized = await peers.inference.tokenize({ model: spec.model, pieces }, { signal });
  const ids = tokenized.pieces.map((piece) => piece.tokenIds);
  const openers = ids.slice(0, -1);
  const first = [...new Set(openers.map((opener) => present(opener[0], 'the tokens of an opener')))];
  const score: ScoreTokens = {
    openers,
    firstTokenIds: first,
    iTokenId: present(ids.at(-1)?.[0], 'the token of "I"'),
  };
  const none = { count: 0, of: 0 };
  return {
    openers: {
      texts: [...spec.openers],
      tokenIds: openers,
      firstTokenIds: first,
      iTokenId: score.iTokenId,
      calibrated: false,
      harmfulRefused: none,
      harmlessRefused: none,
      scoreTextAgreement: none,
      byLength: [],
    },
    score,
    baselines: {},
  };
};

/**
 * The prompts named in the spec, else those of the searched label with a clean score above 0 (or unknown); a limit is shared by the
 * categories.
 */
const chooseSearchPrompts = (spec: AuditSpec, baselines: Baselines): AuditPrompt[] => {
  const named = new Set(spec.searchPromptIds);
  const label = spec.overRefusal ? 'harmless' : 'harmful';
  const eligible = spec.prompts.filter((prompt) =>
    named.size > 0
      ? named.has(prompt.id)
      : prompt.label === label && (baselines[prompt.id]?.refusalScore ?? Number.POSITIVE_INFINITY) > 0,
  );
  const limit = spec.maxSearchPrompts === 0 ? eligible.length : spec.maxSearchPrompts;
  return spreadOverCategories(eligible, limit, (prompt) => prompt.category);
};
