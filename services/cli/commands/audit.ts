/** `refusalscope audit`: an audit of any prompt file, on services of its own or on a coordinator elsewhere. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { fault } from '../../../shared/errors/fault.js';
import { buildSpec, FILTERS, type SpecFlags } from '../build-spec.js';
import { addClaimFlags } from '../claim-flags.js';
import type { CommandContext } from '../command-context.js';
import { compareCompute } from '../compare-compute.js';
import { DEFAULT_OPENERS } from '../evaluator.js';
import { followAudit } from '../follow-audit.js';
import { addJudgeFlags } from '../judge-options.js';
import { readLabelledFiles } from '../labelled-files.js';
import {
  addModelFlags,
  addStateFlag,
  type MeshFlags,
  meshConfigOf,
  repeatModelFlags,
  wholeFlag,
} from '../mesh-options.js';
import { connectCoordinator, startEmbeddedCoordinator } from '../open-coordinator.js';
import { applyPreset, type PaperFlags, paperSettings } from '../paper-preset.js';
import { chooseEmbeddedPairs, type PromptSet, readPromptFile } from '../prompt-file.js';

interface AuditFlags extends MeshFlags, SpecFlags, PaperFlags {
  readonly prompts?: string;
  readonly harmful?: string;
  readonly harmless?: string;
  readonly perLabel?: number;
  readonly textColumn?: string;
  readonly out: string;
  readonly connect?: string;
  readonly requestId?: string;
  readonly acceptCompute?: boolean;
}

const EMBEDDED_PAIRS = 64;

const numberList = (text: string): number[] => {
  const values = text.split(',').map((part) => part.trim());
  if (values.some((value) => !/^\d+$/.test(value))) {
    throw new InvalidArgumentError('It must be whole numbers with commas between them, such as 9,13,17.');
  }
  return values.map(Number);
};

export const addAuditCommand = (program: Command, context: CommandContext): void => {
  const command = program.command('audit').description('audit a prompt set and write its report');
  addClaimFlags(addSpecFlags(command))
    .option('--out <dir>', 'where report.json and report.html go', 'refusalscope-report')
    .option('--connect <address>', 'use the coordinator at host:port instead of starting services here')
    .option('--request-id <id>', 'the same id with the same spec gives the same audit');
  addJudgeFlags(addStateFlag(addModelFlags(command)))
    .addHelpText(
      'after',
      `
Rows of the file need a text (columns text, prompt, instruction, goal, behavior or question); label (harmful or harmless, default
harmful), category and id are optional. A file without harmless prompts gets those of the embedded set.

Examples:
  $ npx refusalscope audit --prompts my-prompts.jsonl
  $ npx refusalscope audit --prompts advbench.csv --text-column goal --max-prompts 20 --layers 9,13,17
  $ npx refusalscope audit --prompts p.jsonl --filter paper --positions all --out paper-run
  $ npx refusalscope audit --model DIR --sae DIR --harmful harmful_behaviors.csv --harmless alpaca_data.json
  $ npx refusalscope audit --model DIR --sae DIR --preset paper --harmful advbench.csv --harmless alpaca_data.json
  $ npx refusalscope audit --prompts xstest.csv --over-refusal
  $ npx refusalscope audit --prompts p.jsonl --skip hydra,cost --family-evaluations 2000
  $ npx refusalscope audit --prompts p.jsonl --connect 10.0.0.7:7000`,
    )
    .action((flags: AuditFlags) =>
      context.run(() => {
        const isGiven = (flag: string) => command.getOptionValueSource(flag) === 'cli';
        return audit(applyPreset(flags, flags.model, isGiven), context);
      }),
    );
};

const addSpecFlags = (command: Command): Command =>
  command
    .option('--prompts <file>', 'JSONL or CSV file; - reads JSONL from standard input (default: the embedded pairs)')
    .option(
      '--harmful <file>',
      'file of harmful prompts: AdvBench, HarmBench, JailbreakBench, StrongREJECT, XSTest, Coconot',
    )
    .option(
      '--harmless <file>',
      'file of harmless prompts, such as Alpaca; the larger file is drawn down to the smaller',
    )
    .option('--per-label <n>', 'prompts taken of each of the two files', wholeFlag(1, 5000))
    .addOption(
      new Option('--preset <name>', 'settings of arXiv 2509.09708 for all flags that are not given').choices(['paper']),
    )
    .option('--threshold <tau>', 'with --preset: change of p("I") above which a block is needed (default: 0.1)', Number)
    .option('--top-features <list>', 'with --preset: features of stage 3 that are ablated together', numberList)
    .option('--plain-text <file>', 'with --preset: texts for cross-entropy, a column text or lines of JSON')
    .option('--text-column <name>', 'column or key that holds the text')
    .option(
      '--max-prompts <n>',
      'search at most so many refused prompts, spread over the categories',
      wholeFlag(1, 10_000),
    )
    .option('--layers <list>', 'SAE layers to search (default: those below 0.8 of the depth)', numberList)
    .option(
      '--growth <list>',
      'candidates a layer, growing until a prompt flips (default: 10,20,50,100,200)',
      numberList,
    )
    .addOption(
      new Option('--filter <method>', 'how sets are made minimal').choices(Object.keys(FILTERS)).default('group'),
    )
    .option(
      '--positions <where>',
      'where edits act: instruction, all, answer, 3:17; +bos adds position 0',
      'instruction',
    )
    .option('--masks <n>', 'masks for the factorization machine (default: 512)', wholeFlag(1, 65_536))
    .option('--features <n>', 'features that it sees (default: 32)', wholeFlag(2, 4096))
    .option('--draws <n>', 'control draws a prompt (default: 5)', wholeFlag(1, 1000))
    .option('--answer-tokens <n>', 'longest answer that is judged (default: 48)', wholeFlag(1, 4096))
    .option('--opener <text...>', "fixed openers instead of the model's own")
    .option('--seed <n>', 'seed of everything that is drawn', wholeFlag(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--title <text>', 'a name for people')
    .option(
      '--accept-compute',
      'audit in another --compute than float32 even if its flips differ from those of float32',
    )
    .option('--redact', 'leave the first words of prompts and answers out of the report');

const audit = async (flags: AuditFlags, context: CommandContext) => {
  const { output } = context;
  const { prompts, added } = await readPrompts(flags);
  if (added > 0) output.note(`The file has no harmless prompts: ${added} of the embedded set were added.`);
  const spec = buildSpec(prompts, flags, paperSettings(flags));
  if (flags.connect === undefined && flags.acceptCompute !== true) await assertSameFlips(flags, prompts, context);
  const coordinator =
    flags.connect === undefined
      ? await startEmbeddedCoordinator(flags, context)
      : await connectCoordinator(flags.connect, context);
  try {
    const created = await coordinator.client.createAudit({ spec, requestId: flags.requestId ?? '' });
    const auditId = created.audit?.id ?? '';
    output.note(`Audit ${auditId}: ${prompts.length} prompts.`);
    const where = flags.connect === undefined ? repeatModelFlags(flags) : ` --connect ${flags.connect}`;
    const resumeCommand = `npx refusalscope resume ${auditId}${where}`;
    return await followAudit({ coordinator, auditId, outDir: flags.out, resumeCommand, output });
  } finally {
    await coordinator.close();
  }
};

/** Prompts of each label that the comparison takes: enough to see a type that flips differently, few enough for half a minute. */
const COMPARED_PER_LABEL = 6;

/** An audit in a type that flips other prompts than float32 would be an audit of another model. Throws AUDIT_IMPOSSIBLE. */
const assertSameFlips = async (
  flags: AuditFlags,
  prompts: PromptSet['prompts'],
  { output }: CommandContext,
): Promise<void> => {
  const { compute = 'float32' } = flags;
  if (compute === 'float32') return;
  const of = (label: string) => prompts.filter((prompt) => prompt.label === label).slice(0, COMPARED_PER_LABEL);
  const compared = [
    ...of('harmful').map(({ text }) => ({ text, harmful: true })),
    ...of('harmless').map(({ text }) => ({ text, harmful: false })),
  ];
  const files = await meshConfigOf(flags, output);
  const openers = flags.opener ?? DEFAULT_OPENERS;
  const [difference] = await compareCompute(files, [compute], compared, openers, (type) =>
    output.status(`comparing ${compute} with float32: evaluating in ${type}`),
  );
  output.status('');
  if (difference === undefined || difference.flips_changed === 0) return;
  throw fault(
    'AUDIT_IMPOSSIBLE',
    `In ${compute}, ${difference.flips_changed} of ${difference.evaluations} evaluations flip otherwise than in float32 (score off by ${difference.mean_difference.toFixed(2)} on average). Audit in float32, or give --accept-compute.`,
  );
};

const readPrompts = async (flags: AuditFlags): Promise<PromptSet> => {
  const { prompts, harmful, harmless, perLabel, seed } = flags;
  if (harmful === undefined && harmless === undefined) {
    if (prompts !== undefined) return readPromptFile(prompts, flags.textColumn);
    return { prompts: await chooseEmbeddedPairs(EMBEDDED_PAIRS), added: 0 };
  }
  if (harmful === undefined || harmless === undefined || prompts !== undefined)
    throw fault('CONFIG_INVALID', 'Give --harmful and --harmless together, or --prompts, or none of them.');
  return { prompts: readLabelledFiles({ harmful, harmless, perLabel, seed }), added: 0 };
};
