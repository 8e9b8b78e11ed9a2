/** `refusalscope numerics`: how far each compute type is from float32 on this model, in scores and in flips. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { projectRoot } from '../../../shared/project/root.js';
import type { ComputeDtype } from '../../inference/thread/messages.js';
import type { CommandContext } from '../command-context.js';
import { type ComparedPrompt, type ComputeDifference, compareCompute } from '../compare-compute.js';
import { DEFAULT_OPENERS } from '../evaluator.js';
import type { ExitName } from '../exit-codes.js';
import { addModelFlags, type MeshFlags, meshConfigOf, wholeFlag } from '../mesh-options.js';

interface NumericsFlags extends MeshFlags {
  readonly types: readonly ComputeDtype[];
  readonly pairs: number;
  readonly json?: boolean;
}

export const addNumericsCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('numerics')
    .description('say how far int8 and int4 scores are from float32 on this model')
    .option('--types <types...>', 'compute types to compare: int8, int4, float16, bfloat16', ['int8', 'int4'])
    .option('--pairs <n>', 'prompt pairs of the embedded set to compare on', wholeFlag(1, 64), 8)
    .option('--json', 'print JSON');
  addModelFlags(command)
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx refusalscope numerics\n  $ npx refusalscope numerics --types int8 --pairs 24 --json',
    )
    .action((flags: NumericsFlags) => context.run(() => numerics(flags, context)));
};

const numerics = async (flags: NumericsFlags, { output }: CommandContext): Promise<ExitName> => {
  const files = await meshConfigOf(flags, output);
  const differences = await compareCompute(files, flags.types, embeddedPairs(flags.pairs), DEFAULT_OPENERS, (compute) =>
    output.status(`evaluating in ${compute}`),
  );
  output.status('');
  output.result(flags.json ? JSON.stringify(differences) : differences.map(sentence).join('\n'));
  return 'OK';
};

const sentence = (difference: ComputeDifference): string =>
  `${difference.compute}: refusal score off by ${difference.mean_difference.toFixed(3)} on average, ${difference.max_difference.toFixed(3)} at most; ` +
  `rank correlation ${difference.rank_correlation.toFixed(4)}; ${difference.flips_changed} of ${difference.evaluations} evaluations flip differently`;

/** The first pairs of the embedded prompt set. */
export const embeddedPairs = (count: number): ComparedPrompt[] =>
  readFileSync(join(projectRoot, 'models/prompts/pairs.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .slice(0, 2 * count)
    .map((line) => JSON.parse(line) as { text: string; label: string })
    .map(({ text, label }) => ({ text, harmful: label === 'harmful' }));
