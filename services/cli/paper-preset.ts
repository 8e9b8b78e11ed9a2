/**
 * `--preset paper`: the settings of arXiv 2509.09708 for the flags that were not given. What a flag says always wins, so that one setting
 * can be changed and the rest kept.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PaperSettings } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { loadPromptSet } from '../../shared/prompt-sets/load-prompt-set.js';
import { openGguf } from '../../shared/tensor-files/gguf.js';
import type { SpecFlags } from './build-spec.js';

export interface PaperFlags {
  readonly preset?: 'paper';
  readonly threshold?: number;
  readonly topFeatures?: readonly number[];
  readonly plainText?: string;
}

/** Of the family of the paper's two models; others are searched as LLaMA. */
const GROWTH = { gemma: [10, 20, 50, 100, 200], other: [10] } as const;
/** The HarmBench classifier reads answers of so many tokens (its published runs). */
const ANSWER_TOKENS = 512;
const MAX_PLAIN_TEXTS = 64;

/** `isGiven` tells a flag of the command line from a default. */
export function applyPreset<Flags extends SpecFlags & PaperFlags>(
  flags: Flags,
  modelPath: string | undefined,
  isGiven: (flag: keyof SpecFlags) => boolean,
): Flags {
  if (flags.preset === undefined) return flags;
  const settings: Partial<SpecFlags> = {
    filter: 'paper',
    // The template and BOS are where the paper finds most of its redundant features.
    positions: 'all+bos',
    growth: modelPath !== undefined && isGemma(modelPath) ? GROWTH.gemma : GROWTH.other,
    answerTokens: ANSWER_TOKENS,
  };
  const open = Object.entries(settings).filter(([flag]) => !isGiven(flag as keyof SpecFlags));
  return { ...flags, ...Object.fromEntries(open) };
}

/** Throws the faults of a file of plain text that cannot be read. */
export const paperSettings = ({ preset, threshold, topFeatures, plainText }: PaperFlags): PaperSettings | undefined =>
  preset && {
    blockSize: 0,
    seeds: 0,
    threshold: threshold ?? 0,
    thresholds: [],
    fmRank: 0,
    fmLearningRate: 0,
    fmEpochs: 0,
    topFeatures: [...(topFeatures ?? [])],
    plainTexts:
      plainText === undefined ? [] : loadPromptSet(plainText, { limit: MAX_PLAIN_TEXTS }).map(({ text }) => text),
  };

function isGemma(modelPath: string): boolean {
  if (modelPath.toLowerCase().endsWith('.gguf')) {
    const file = openGguf(modelPath);
    try {
      return String(file.metadata.get('general.architecture')).startsWith('gemma');
    } finally {
      file.close();
    }
  }
  try {
    const config: unknown = JSON.parse(readFileSync(join(modelPath, 'config.json'), 'utf8'));
    return String((config as { model_type?: unknown } | null)?.model_type).startsWith('gemma');
  } catch {
    // Whoever opens the model says what is wrong with it.
    return false;
  }
}
