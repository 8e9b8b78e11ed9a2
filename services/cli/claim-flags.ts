/** Flags of the stages that say how far findings hold (alternatives, family, hydra, sufficiency, cost) and of the search for false refusals. */
import { type Command, InvalidArgumentError } from 'commander';
import type { ClaimSettings } from '../../proto/gen/refusalscope/v1/coordinator.js';
import { SKIPPABLE_STAGES } from '../coordinator/audit/claim-settings.js';
import { wholeFlag } from './mesh-options.js';

export interface ClaimFlags {
  readonly claimPrompts?: number;
  readonly familyEvaluations?: number;
  readonly familySets?: number;
  readonly hydraFeatures?: number;
  readonly hydraRounds?: number;
  readonly hydraStrongest?: number;
  readonly hydraPrompts?: number;
  readonly minEffect?: number;
  readonly sufficiencyDraws?: number;
  readonly harmlessPrompts?: number;
  readonly costSets?: number;
  readonly skip?: readonly string[];
  readonly overRefusal?: boolean;
}

export const addClaimFlags = (command: Command): Command =>
  command
    .option('--over-refusal', 'search the harmless prompts that the model refuses, in place of the harmful ones')
    .option('--claim-prompts <n>', 'prompts that family and sufficiency take (default: 16)', wholeFlag(1, 10_000))
    .option(
      '--family-evaluations <n>',
      'evaluations a prompt for finding all its minimal sets (default: 200)',
      wholeFlag(1, 1_000_000),
    )
    .option('--family-sets <n>', 'minimal sets a prompt at most (default: 32)', wholeFlag(1, 1024))
    .option('--hydra-prompts <n>', 'prompts that each trace of hydra takes (default: 32)', wholeFlag(1, 10_000))
    .option('--hydra-features <n>', 'woken features followed a round and prompt (default: 64)', wholeFlag(1, 4096))
    .option('--hydra-rounds <n>', 'rounds of waking that are followed (default: 4)', wholeFlag(1, 64))
    .option(
      '--hydra-strongest <n>',
      'features off first in each prompt where waking is traced without minimal sets (default: 8)',
      wholeFlag(1, 1024),
    )
    .option('--min-effect <nats>', 'smallest mean effect of a woken feature that counts (default: 0.1)', positiveNumber)
    .option('--sufficiency-draws <n>', 'random sets beside each set (default: 3)', wholeFlag(1, 64))
    .option(
      '--harmless-prompts <n>',
      'harmless prompts for sufficiency and for the cost of suppression (default: 8)',
      wholeFlag(1, 10_000),
    )
    .option('--cost-sets <n>', 'distinct minimal sets whose cost is measured (default: 16)', wholeFlag(1, 1024))
    .option('--skip <stages>', `stages to leave out, of ${SKIPPABLE_STAGES.join(',')}`, stageList);

/** What was not given stays 0: the coordinator fills in its default. */
export const claimSettings = (flags: ClaimFlags): Partial<ClaimSettings> => ({
  prompts: flags.claimPrompts ?? 0,
  familyEvaluations: flags.familyEvaluations ?? 0,
  familySets: flags.familySets ?? 0,
  hydraFeatures: flags.hydraFeatures ?? 0,
  hydraRounds: flags.hydraRounds ?? 0,
  hydraStrongest: flags.hydraStrongest ?? 0,
  hydraPrompts: flags.hydraPrompts ?? 0,
  hydraMinEffect: flags.minEffect ?? 0,
  sufficiencyDraws: flags.sufficiencyDraws ?? 0,
  harmlessPrompts: flags.harmlessPrompts ?? 0,
  costSets: flags.costSets ?? 0,
});

const positiveNumber = (text: string): number => {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new InvalidArgumentError('It must be a number above 0, such as 0.1.');
  return value;
};

const stageList = (text: string): string[] => {
  const names = text.split(',').map((part) => part.trim());
  const unknown = names.find((name) => !(SKIPPABLE_STAGES as readonly string[]).includes(name));
  if (unknown !== undefined)
    throw new InvalidArgumentError(
      `${JSON.stringify(unknown)} cannot be left out; these can: ${SKIPPABLE_STAGES.join(', ')}.`,
    );
  return names;
};
