/** A small prompt set for the scripted peers. */
import { FilterMethod } from '../../../proto/gen/refusalscope/v1/search.js';
import { PromptLabel } from '../../../proto/gen/refusalscope/v1/types.js';

export const specOf = (harmful: number, changes: object = {}) => ({
  model: 'scripted',
  prompts: Array.from({ length: harmful }, (_, i) => [
    { prompt: promptOf(`h${i}`), label: PromptLabel.PROMPT_LABEL_HARMFUL, category: i % 2 === 0 ? 'fraud' : 'malware' },
    {
      prompt: promptOf(`b${i}`),
      label: PromptLabel.PROMPT_LABEL_HARMLESS,
      category: i % 2 === 0 ? 'fraud' : 'malware',
    },
  ]).flat(),
  growth: [6, 12],
  filterMethod: FilterMethod.FILTER_METHOD_GROUP,
  fmMasks: 64,
  fmFeatures: 4,
  title: 'scripted audit',
  ...changes,
});

const promptOf = (id: string) => ({ id, input: { $case: 'text' as const, value: `What about ${id}?` } });
