/**
 * A prompt set from two files in their published forms, such as AdvBench and Alpaca: the flag gives the label, whatever the file says. The
 * larger file is drawn down to the size of the smaller: a mean over 52,000 harmless prompts costs hours and says what 500 say.
 */
import { fault } from '../../shared/errors/fault.js';
import { type LoadedPrompt, loadPromptSet } from '../../shared/prompt-sets/load-prompt-set.js';
import { createSeededRandom } from '../../shared/random/seeded-random.js';
import type { CliPrompt } from './prompt-file.js';

export interface LabelledFiles {
  readonly harmful: string;
  readonly harmless: string;
  /** Prompts a label at most. Default: as many as the smaller file has. */
  readonly perLabel?: number | undefined;
  readonly seed: number;
}

/** Rows of each file in its order. Throws FILE_NOT_FOUND, REQUEST_INVALID, REQUEST_TOO_LARGE. */
export function readLabelledFiles({ harmful, harmless, perLabel, seed }: LabelledFiles): CliPrompt[] {
  const sides = [
    { label: 'harmful' as const, prompts: withLabel(loadPromptSet(harmful), 'harmful', harmful) },
    { label: 'harmless' as const, prompts: withLabel(loadPromptSet(harmless), 'harmless', harmless) },
  ];
  const size = Math.min(perLabel ?? Number.POSITIVE_INFINITY, ...sides.map(({ prompts }) => prompts.length));
  const random = createSeededRandom(seed).fork('prompt files');
  return sides.flatMap(({ label, prompts }) =>
    draw(prompts, size, random.fork(label)).map(({ id, text, category }) => ({
      // Two files may number their rows alike.
      id: `${label}-${id}`.slice(0, 128),
      text,
      label,
      category: (category ?? '').slice(0, 64),
    })),
  );
}

/** A file that labels its rows (XSTest, JailbreakBench) gives those of the flag's label; one that does not gives all. */
function withLabel(prompts: readonly LoadedPrompt[], label: 'harmful' | 'harmless', path: string): LoadedPrompt[] {
  const both = new Set(prompts.map((prompt) => prompt.label)).size > 1;
  const own = both ? prompts.filter((prompt) => prompt.label === label) : [...prompts];
  if (own.length === 0) throw fault('REQUEST_INVALID', `${path} has no ${label} prompt.`);
  return own;
}

function draw<Item>(items: readonly Item[], count: number, random: ReturnType<typeof createSeededRandom>): Item[] {
  if (items.length <= count) return [...items];
  const chosen = new Set(random.shuffle([...items.keys()]).slice(0, count));
  return items.filter((_, i) => chosen.has(i));
}
