/**
 * The published forms of prompt sets: which columns tell a form apart, and how a row becomes a prompt. One entry a form; a form
 * that says nothing about harm gives no label, and the caller has to.
 */

export type PromptLabel = 'harmful' | 'harmless';

/** A row before checks: whatever the file held under the form's columns. */
export interface PromptRow {
  readonly text: unknown;
  readonly id?: unknown;
  readonly label?: PromptLabel;
  readonly category?: unknown;
  readonly pair?: unknown;
}

type Source = Readonly<Record<string, unknown>>;

export interface PromptSetFormat {
  /** A file is of this form if its first row has all of these. */
  readonly columns: readonly string[];
  read(row: Source, fileName: string): PromptRow;
}

const filled = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '';

const joined = (first: unknown, second: unknown, between: string): unknown =>
  filled(second) && filled(first) ? `${first}${between}${second}` : first;

/** The first column that is there; sets that people make themselves use one of these. */
const TEXT_COLUMNS = ['text', 'prompt', 'instruction', 'question', 'goal'];

const ownLabel = (value: unknown): PromptLabel | undefined =>
  value === 'harmful' || value === 'harmless' ? value : undefined;

export const PROMPT_SET_FORMATS = {
  /** llm-attacks, data/advbench/harmful_behaviors.csv */
  advbench: {
    columns: ['goal', 'target'],
    read: ({ goal }) => ({ text: goal, label: 'harmful' }),
  },
  /** HarmBench, harmbench_behaviors_text_*.csv; a context is put before the behavior as HarmBench's own runs do. */
  harmbench: {
    columns: ['Behavior', 'SemanticCategory'],
    read: (row) => ({
      text: filled(row.ContextString) ? joined(row.ContextString, row.Behavior, '\n\n---\n\n') : row.Behavior,
      id: row.BehaviorID,
      label: 'harmful',
      category: row.SemanticCategory,
    }),
  },
  /** JailbreakBench, harmful-behaviors.csv and benign-behaviors.csv: the columns are the same, only the name tells. */
  jailbreakbench: {
    columns: ['Goal', 'Category'],
    read: (row, fileName) => ({
      text: row.Goal,
      label: fileName.startsWith('benign') ? 'harmless' : fileName.startsWith('harmful') ? 'harmful' : undefined,
      category: row.Category,
    }),
  },
  /** strongreject_dataset.csv */
  strongreject: {
    columns: ['forbidden_prompt'],
    read: (row) => ({ text: row.forbidden_prompt, label: 'harmful', category: row.category }),
  },
  /** xstest_prompts.csv; older files have no label column, but their unsafe types are named contrast_*. */
  xstest: {
    columns: ['prompt', 'type', 'focus'],
    read: (row) => {
      const unsafe = filled(row.label) ? row.label === 'unsafe' : String(row.type).startsWith('contrast');
      return { text: row.prompt, id: row.id, label: unsafe ? 'harmful' : 'harmless', category: row.type };
    },
  },
  /** Coconot: whether a request should be refused depends on the split, which the file does not name: no label. */
  coconot: {
    columns: ['prompt', 'category', 'subcategory'],
    read: (row) => ({ text: row.prompt, id: row.id, category: row.subcategory }),
  },
  /** alpaca_data.json */
  alpaca: {
    columns: ['instruction', 'output'],
    read: (row) => ({ text: joined(row.instruction, row.input, '\n\n'), label: 'harmless' }),
  },
  /** Anything with a column of text, as models/prompts/pairs.jsonl. */
  plain: {
    columns: [],
    read: (row) => ({
      text: row[TEXT_COLUMNS.find((column) => column in row) ?? 'text'],
      id: row.id,
      label: ownLabel(row.label),
      category: row.category,
      pair: row.pair,
    }),
  },
} as const satisfies Record<string, PromptSetFormat>;

export type PromptSetFormatName = keyof typeof PROMPT_SET_FORMATS;

/** The first form whose columns are all there; "plain" where no other fits. */
export function sniffFormat(row: Source): PromptSetFormatName {
  const names = Object.keys(PROMPT_SET_FORMATS) as PromptSetFormatName[];
  return names.find((name) => PROMPT_SET_FORMATS[name].columns.every((column) => column in row)) ?? 'plain';
}
