/** Stage "filter": a 1-minimal set for each searched prompt, several prompts at once so that inference can fill its batches. */
import type { MinimalSet } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import type { PaperSettings } from '../audit/paper-settings.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeMinimalSet } from '../peers/from-wire.js';
import { encodeDirection, encodeFilterMethod, encodePrompt, encodeScore } from '../peers/to-wire.js';
import { directionsOf } from './candidates.js';
import { derivedSeed } from './derived-seed.js';
import { searchPrompts } from './search-prompts.js';
import type { Stage } from './stage.js';

export const filterStage: Stage<'filter'> = {
  name: 'filter',
  async run(context, earlier) {
    const { spec, peers } = context;
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      directions: directionsOf(earlier, earlier.describe.layers).map(encodeDirection),
      growth: [...spec.growth],
      positions: encodePositions(spec.positions),
      method: encodeFilterMethod(spec.filterMethod),
      ...paperFilter(spec.paper),
    };
    const sets = await context.forEachPrompt(searchPrompts(spec, earlier), async (prompt, call) => {
      const seed = derivedSeed(spec.seed, `filter/${prompt.id}`);
      const found = await drainCall<MinimalSet>(call, (known, options) =>
        peers.search.filterPrompt({ ...request, prompt: encodePrompt(prompt), seed, known }, options),
      );
      const set = decodeMinimalSet(found, prompt.id, prompt.category);
      const { outcome, evaluations } = set;
      context.emit({ kind: 'prompt-filtered', promptId: prompt.id, outcome, setSize: set.members.length, evaluations });
      return set;
    });
    const notMinimal = sets.filter((set) => set.outcome === 'found' && !set.oneMinimal).length;
    if (notMinimal > 0)
      context.warn('NOT_ONE_MINIMAL', `${notMinimal} of ${sets.length} sets are not certified 1-minimal.`);
    return { sets };
  },
  summarize: ({ sets }) => {
    const found = sets.filter((set) => set.outcome === 'found');
    const sizes = found.map((set) => set.members.length).sort((a, b) => a - b);
    const spread = sizes.length > 0 ? `; sizes ${sizes[0]} to ${sizes.at(-1)}` : '';
    return `minimal sets for ${found.length} of ${sets.length} prompts${spread}`;
  },
};

const paperFilter = (paper: PaperSettings | undefined) =>
  paper && { blockSize: paper.blockSize, threshold: paper.threshold, seeds: paper.seeds };
