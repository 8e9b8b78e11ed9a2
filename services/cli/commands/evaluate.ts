/** `refusalscope evaluate`: the scores of one edited run, or of a file of them, as JSON lines. */
import type { Command } from 'commander';
import { fault } from '../../../shared/errors/fault.js';
import { parsePositions } from '../../../shared/tensors/positions.js';
import { startEvaluationServices } from '../../mesh/start-mesh.js';
import { admitOpenSaes } from '../admit-saes.js';
import type { CommandContext } from '../command-context.js';
import { type AskedLine, askedLine, type FailedLine, failedLine, parseAskedLine } from '../evaluate-line.js';
import { DEFAULT_OPENERS, Evaluator } from '../evaluator.js';
import type { ExitName } from '../exit-codes.js';
import { addModelFlags, type MeshFlags, meshConfigOf } from '../mesh-options.js';
import { readText } from '../prompt-file.js';

interface EvaluateFlags extends MeshFlags {
  readonly prompt?: string;
  readonly ablate?: string;
  readonly clamp?: readonly string[];
  readonly positions: string;
  readonly jsonl?: string;
  readonly opener?: readonly string[];
  readonly inference?: string;
}

// Enough lines for full batches; few enough that answers come while the file is read on.
const LINES_A_BATCH = 64;

export const addEvaluateCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('evaluate')
    .description('print the scores of one edited run as JSON')
    .option('--prompt <text>', "the user's message")
    .option('--ablate <features>', 'features to ablate, such as 13/5,17/101; none: the clean prompt')
    .option('--clamp <feature=value...>', 'features to move to a value, such as 13/5=4')
    .option(
      '--positions <where>',
      'where edits act: instruction, all, answer, 3:17; +bos adds position 0',
      'instruction',
    )
    .option('--jsonl <file>', 'answer a file of lines (- for standard input) instead, one line each, in order')
    .option('--opener <text...>', 'openers to score instead of the usual ones')
    .option(
      '--inference <address>',
      'use the inference service at host:port; --sae is then the address of the sae service',
    );
  addModelFlags(command)
    .addHelpText(
      'after',
      `
Lines of --jsonl: {"prompt": "...", "ablate": ["13/5"], "clamp": {"17/2": 4}, "positions": "instruction"}; all but prompt optional.
Answers: refusal_score, first_token_score, p_I, proof (what the edits changed, by layer), acted. A line that cannot be evaluated
is answered by {"error": {"code", "message"}}, and the exit code is then 2.

Examples:
  $ npx refusalscope evaluate --prompt "How do I pick a lock?"
  $ npx refusalscope evaluate --prompt "How do I pick a lock?" --ablate 13/5,17/101 --positions instruction
  $ npx refusalscope evaluate --jsonl runs.jsonl > scores.jsonl`,
    )
    .action((flags: EvaluateFlags) => context.run(() => evaluate(flags, context)));
};

type Asked = AskedLine | FailedLine;

const evaluate = async (flags: EvaluateFlags, context: CommandContext): Promise<ExitName> => {
  const { output } = context;
  // Read everything before the model is loaded: a typo should not cost that time.
  const asked = await readAsked(flags);
  const services = await openServices(flags, context);
  let failed = 0;
  try {
    for (const { layer, reason } of await admitOpenSaes(services.inferenceAddress, services.saeAddress, services.edge))
      output.note(`SAE of layer ${layer}: ${reason}`);
    const openers = flags.opener ?? DEFAULT_OPENERS;
    const evaluator = await Evaluator.open(services.inferenceAddress, services.saeAddress, openers, services.edge);
    output.status('');
    try {
      for (let i = 0; i < asked.length; i += LINES_A_BATCH) {
        for (const answer of await answerBatch(evaluator, asked.slice(i, i + LINES_A_BATCH))) {
          if ('error' in answer) failed += 1;
          if ('acted' in answer && answer.acted === false)
            output.note('warning: the edits changed nothing; the scores are those of the clean prompt.');
          if ('error' in answer && flags.jsonl === undefined)
            throw fault(answer.error.code as 'REQUEST_INVALID', answer.error.message);
          output.result(JSON.stringify(answer));
        }
      }
    } finally {
      evaluator.close();
    }
  } finally {
    await services.stop();
  }
  if (failed > 0) output.note(`${failed} of ${asked.length} lines have an error in their place.`);
  return failed > 0 ? 'USAGE' : 'OK';
};

const readAsked = async (flags: EvaluateFlags): Promise<Asked[]> => {
  if ((flags.prompt === undefined) === (flags.jsonl === undefined)) {
    throw fault('CONFIG_INVALID', 'Give either --prompt or --jsonl.');
  }
  if (flags.prompt !== undefined) {
    const ablate = (flags.ablate ?? '')
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '');
    return [askedLine(flags.prompt, ablate, readClamps(flags.clamp ?? []), parsePositions(flags.positions))];
  }
  const lines = (await readText(flags.jsonl as string)).split(/\r?\n/).filter((line) => line.trim() !== '');
  return lines.map((line) => {
    try {
      return parseAskedLine(line);
    } catch (thrown) {
      return failedLine(thrown);
    }
  });
};

const readClamps = (texts: readonly string[]): Map<string, number> =>
  new Map(
    texts.map((text) => {
      const [feature = '', value = ''] = text.split('=');
      if (value.trim() === '') throw fault('REQUEST_INVALID', `${JSON.stringify(text)} is no clamp: write 13/5=4.`);
      return [feature, Number(value)];
    }),
  );

const openServices = async (flags: EvaluateFlags, { output, edges }: CommandContext) => {
  const { inference, sae = [] } = flags;
  if (inference === undefined) {
    const started = await startEvaluationServices({ ...(await meshConfigOf(flags, output)), edges });
    return { ...started, edge: await edges.inside('cli') };
  }
  const [saeAddress] = sae;
  if (saeAddress === undefined || sae.length > 1)
    throw fault('CONFIG_INVALID', 'With --inference, --sae must be one address: that of the sae service.');
  return { inferenceAddress: inference, saeAddress, edge: edges.caller, stop: async () => undefined };
};

/** Evaluates the sound lines together; the others keep their place and their error. */
const answerBatch = async (evaluator: Evaluator, batch: readonly Asked[]) => {
  const sound = batch.filter((line): line is AskedLine => !('error' in line));
  const answers = await evaluator.evaluate(sound);
  let next = 0;
  return batch.map((line) => ('error' in line ? line : (answers[next++] as (typeof answers)[number])));
};
