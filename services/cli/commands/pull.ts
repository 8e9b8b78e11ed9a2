/** `refusalscope pull`: a model or a release of SAEs from the hub, pinned, checked, into the cache folder. */
import type { Command } from 'commander';
import { globPattern, SHORTCUTS } from '../../../shared/hub/hub-shortcuts.js';
import { pullRepository } from '../../../shared/hub/pull-repository.js';
import { cacheFolderOf } from '../../../shared/model-store/embedded-model.js';
import type { CommandContext } from '../command-context.js';

interface PullFlags {
  readonly revision?: string;
  readonly include?: readonly string[];
  readonly cacheDir: string;
}

export const addPullCommand = (program: Command, context: CommandContext): void => {
  const known = Object.entries(SHORTCUTS).map(([name, { repo, about }]) => `\n  ${name.padEnd(16)} ${repo}: ${about}`);
  program
    .command('pull')
    .description(
      'fetch a model or SAEs from the Hugging Face Hub into the cache folder; what is there is not fetched again',
    )
    .argument('<name>', 'owner/name of a repository, or a short name')
    .option('--revision <name>', 'commit, branch or tag (default: the pinned commit of a short name, else main)')
    .option('--include <globs...>', 'only these files, such as "layer_*/width_16k/**"')
    .option('--cache-dir <dir>', 'the cache folder', cacheFolderOf(process.env))
    .addHelpText(
      'after',
      `\nShort names:${known.join('')}

HF_TOKEN is sent for gated repositories; REFUSALSCOPE_HUB_URL names a mirror. Every file is checked against the hub's hash; a transfer that
was cut goes on where it ended. Pickles are not fetched: they are never read.

Examples:
  $ npx refusalscope pull gemma-2-2b-it
  $ npx refusalscope pull google/gemma-scope-2b-pt-res --include "layer_*/width_16k/average_l0_7*/params.npz"`,
    )
    .action((name: string, flags: PullFlags) => context.run(() => pull(name, flags, context)));
};

const pull = async (name: string, { revision, include = [], cacheDir }: PullFlags, { output }: CommandContext) => {
  const shortcut = SHORTCUTS[name];
  const pulled = await pullRepository({
    repo: shortcut?.repo ?? name,
    revision: revision ?? shortcut?.revision ?? 'main',
    cacheDir,
    include: include.map(globPattern),
    choose: include.length > 0 ? undefined : shortcut?.choose,
    hubUrl: process.env.REFUSALSCOPE_HUB_URL || undefined,
    token: process.env.HF_TOKEN || undefined,
    onProgress: (done, total) => output.status(`${megabytes(done)} of ${megabytes(total)}`),
  });
  output.status('');
  const source = pulled.offline ? 'were there already' : `fetched and checked, commit ${pulled.commit}`;
  output.note(`${pulled.files} files, ${megabytes(pulled.bytes)}: ${source}.`);
  output.result(pulled.folder);
  return 'OK' as const;
};

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
