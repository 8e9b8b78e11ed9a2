/** `refusalscope verify`: whether an audit's files are those that its manifest was made from. `refusalscope sign`: signs a manifest. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { fault } from '../../../shared/errors/fault.js';
import { signManifest } from '../../coordinator/evidence/signature.js';
import { readManifestText, verifyManifest } from '../../coordinator/evidence/verify-manifest.js';
import type { CommandContext } from '../command-context.js';
import type { ExitName } from '../exit-codes.js';
import { addStateFlag } from '../mesh-options.js';
import { openStore } from '../open-store.js';

interface VerifyFlags {
  readonly stateDir: string;
  readonly publicKey?: string;
  readonly json?: boolean;
}

interface SignFlags {
  readonly stateDir: string;
  readonly signKey?: string;
}

// More of them say nothing new.
const MAX_SHOWN = 20;

export const addVerifyCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('verify')
    .description("whether an audit's spec, results, evaluations and report are those of its manifest")
    .argument('<id>', 'the audit')
    .option('--public-key <file>', 'ed25519 public key (PEM) that the manifest must be signed with')
    .option('--json', 'one JSON object');
  addStateFlag(command)
    .addHelpText(
      'after',
      '\nExit code 6 if something was changed; each line of the output names the line or file.\n\n' +
        'Example:\n  $ npx refusalscope verify 20261123-181530-4f1c --public-key auditor.pub.pem',
    )
    .action((id: string, flags: VerifyFlags) => context.runAlone(() => verify(id, flags, context)));
};

export const addSignCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('sign')
    .description("sign an audit's manifest, once it verifies")
    .argument('<id>', 'the audit')
    .option('--sign-key <file>', 'ed25519 private key (PEM); default: the file that REFUSALSCOPE_SIGN_KEY names');
  addStateFlag(command)
    .addHelpText(
      'after',
      '\nA key: openssl genpkey -algorithm ed25519 -out auditor.pem && openssl pkey -in auditor.pem -pubout -out auditor.pub.pem\n\n' +
        'Example:\n  $ npx refusalscope sign 20261123-181530-4f1c --sign-key auditor.pem',
    )
    .action((id: string, flags: SignFlags) => context.runAlone(() => sign(id, flags, context)));
};

const verify = async (id: string, flags: VerifyFlags, { output }: CommandContext): Promise<ExitName> => {
  const key = flags.publicKey === undefined ? undefined : await readKey(flags.publicKey);
  const verdict = await verifyManifest(openStore(flags.stateDir), id, key);
  const isSound = verdict.problems.length === 0;
  if (flags.json === true) output.result(JSON.stringify({ audit: id, sound: isSound, ...verdict }));
  else if (isSound) {
    const { lines, evaluations, claims, signature } = verdict;
    output.result(
      `${id}: sound, ${lines} lines, ${evaluations} evaluations, ${claims} claims; signature: ${signature}`,
    );
  } else output.result(problemLines(id, verdict.problems).join('\n'));
  return isSound ? 'OK' : 'CHECK_FAILED';
};

const problemLines = (id: string, problems: readonly string[]): string[] => {
  const more = problems.length - MAX_SHOWN;
  const shown = problems.slice(0, MAX_SHOWN).map((problem) => `${id}: ${problem}`);
  return more > 0 ? [...shown, `${id}: and ${more} more (--json has all)`] : shown;
};

const sign = async (id: string, flags: SignFlags, { output, environment }: CommandContext): Promise<ExitName> => {
  const path = flags.signKey ?? environment.REFUSALSCOPE_SIGN_KEY;
  if (path === undefined || path === '')
    throw fault('CONFIG_INVALID', 'No key: give --sign-key FILE, or set REFUSALSCOPE_SIGN_KEY.');
  const store = openStore(flags.stateDir);
  const { problems } = await verifyManifest(store, id);
  if (problems.length > 0) {
    output.result(problemLines(id, problems).join('\n'));
    return 'CHECK_FAILED';
  }
  const signature = signManifest(await readManifestText(store, id), await readKey(path));
  await store.writeEvidence(id, 'manifest.sig', signature);
  output.result(`${id}: signed`);
  return 'OK';
};

const readKey = async (path: string): Promise<string> => {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw fault('FILE_NOT_FOUND', `The key ${path} cannot be read.`, { cause });
  }
};
