/** `refusalscope start`: the embedded model, a handful of pairs, one whole audit. What `npm start` runs. */
import type { Command } from 'commander';
import { DEFAULT_PRESET } from '../../../shared/model-store/model-presets.js';
import { buildSpec } from '../build-spec.js';
import type { CommandContext } from '../command-context.js';
import { followAudit } from '../follow-audit.js';
import { addModelFlags, addStateFlag, type MeshFlags, repeatModelFlags, wholeFlag } from '../mesh-options.js';
import { startEmbeddedCoordinator } from '../open-coordinator.js';
import { chooseEmbeddedPairs } from '../prompt-file.js';

interface StartFlags extends MeshFlags {
  readonly pairs: number;
  readonly out: string;
  readonly seed: number;
}

// Chosen so that a whole audit ends in about five minutes on two cores.
const PAIRS = 12;
const SMALL_AUDIT = { masks: 384, features: 16, draws: 3, answerTokens: 32, growth: [10, 50, 200] } as const;
const SMALL_CLAIMS = {
  claimPrompts: 6,
  familyEvaluations: 80,
  hydraPrompts: 12,
  hydraFeatures: 32,
  hydraRounds: 2,
  harmlessPrompts: 4,
  costSets: 8,
} as const;

export const addStartCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('start')
    .description('audit the embedded model on a handful of its prompt pairs, from nothing to a report')
    .option('--pairs <n>', 'prompt pairs to use, spread over the categories', wholeFlag(2, 64), PAIRS)
    .option('--seed <n>', 'seed of everything that is drawn', wholeFlag(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--out <dir>', 'where report.json and report.html go', 'refusalscope-report');
  addStateFlag(addModelFlags(command))
    .addHelpText(
      'after',
      '\nExamples:\n  $ npx refusalscope start\n  $ npx refusalscope start --pairs 24 --out big-report',
    )
    .action((flags: StartFlags) => context.run(() => start(flags, context)));
};

const start = async (flags: StartFlags, context: CommandContext) => {
  const { output } = context;
  const prompts = await chooseEmbeddedPairs(flags.pairs);
  const title = `${flags.modelPreset ?? DEFAULT_PRESET} model, ${flags.pairs} pairs`;
  const spec = buildSpec(prompts, {
    ...SMALL_AUDIT,
    ...SMALL_CLAIMS,
    filter: 'group',
    positions: 'instruction',
    seed: flags.seed,
    title,
  });
  const coordinator = await startEmbeddedCoordinator(flags, context);
  try {
    const { audit } = await coordinator.client.createAudit({ spec });
    const auditId = audit?.id ?? '';
    output.note(`Audit ${auditId}: ${prompts.length} prompts.`);
    const resumeCommand = `npx refusalscope resume ${auditId}${repeatModelFlags(flags)}`;
    return await followAudit({ coordinator, auditId, outDir: flags.out, resumeCommand, output });
  } finally {
    await coordinator.close();
  }
};
