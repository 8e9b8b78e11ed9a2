/** Stage "dormant": for each minimal set, its members without clean activation and the features that wake once it is off. */
import type { DormantReport } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeDormant, present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import { promptsWithSets } from './search-prompts.js';
import type { Stage } from './stage.js';

export const dormantStage: Stage<'dormant'> = {
  name: 'dormant',
  async run(context, earlier) {
    const { spec, peers } = context;
    const cases = promptsWithSets(spec, earlier);
    const byId = new Map(cases.map((one) => [one.prompt.id, one]));
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      candidates: encodeFeatures(earlier.candidates.features.map(({ feature }) => feature)),
      layers: [...earlier.describe.layers],
      positions: encodePositions(spec.positions),
    };
    const prompts = await context.forEachPrompt(
      cases.map((one) => one.prompt),
      async (prompt, call) => {
        const set = encodeFeatures(present(byId.get(prompt.id), 'a prompt with its set').features);
        const found = await drainCall<DormantReport>(call, (known, options) =>
          peers.search.findDormant({ ...request, prompt: encodePrompt(prompt), set, known }, options),
        );
        return decodeDormant(found, prompt.id);
      },
    );
    return { prompts };
  },
  summarize: ({ prompts }) => {
    const withMembers = prompts.filter((prompt) => prompt.dormantMembers.length > 0).length;
    const woken = prompts.reduce((total, prompt) => total + prompt.tested.of, 0);
    return `dormant members in ${withMembers} of ${prompts.length} sets; ${woken} features woke`;
  },
};
