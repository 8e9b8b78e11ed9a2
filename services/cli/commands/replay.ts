/** `refusalscope replay`: computes one claim of an audit again and says whether it holds. */
import type { Command } from 'commander';
import { findClaim, listClaims, type Replay, replayClaim } from '../../coordinator/evidence/replay-claim.js';
import { openPeers } from '../../coordinator/peers/open-peers.js';
import { startMesh } from '../../mesh/start-mesh.js';
import type { CommandContext } from '../command-context.js';
import type { ExitName } from '../exit-codes.js';
import { addJudgeFlags } from '../judge-options.js';
import { addModelFlags, addStateFlag, type MeshFlags, meshConfigOf } from '../mesh-options.js';
import { openStore } from '../open-store.js';

interface ReplayFlags extends MeshFlags {
  readonly claim?: string;
  readonly json?: boolean;
}

const READY_LIMIT_MS = 60_000;

export const addReplayCommand = (program: Command, context: CommandContext): void => {
  const command = program
    .command('replay')
    .description('compute one claim of an audit again and say whether it holds')
    .argument('<id>', 'the audit')
    .option('--claim <id>', 'the claim; without it, the claims are listed')
    .option('--json', 'one JSON object');
  addJudgeFlags(addStateFlag(addModelFlags(command)))
    .addHelpText(
      'after',
      '\nServe the same model files as the audit did: others are refused. Exit code 6 if the claim does not hold.\n\n' +
        'Examples:\n  $ npx refusalscope replay 20261123-181530-4f1c\n' +
        '  $ npx refusalscope replay 20261123-181530-4f1c --claim minimal-set/p001-harmful',
    )
    .action((id: string, flags: ReplayFlags) => context.run(() => replay(id, flags, context)));
};

const replay = async (id: string, flags: ReplayFlags, context: CommandContext): Promise<ExitName> => {
  const { output } = context;
  const store = openStore(flags.stateDir);
  if (flags.claim === undefined) {
    for (const claim of await listClaims(store, id))
      output.result(flags.json === true ? JSON.stringify(claim) : `${claim.id}\t${claim.statement}`);
    return 'OK';
  }
  const claim = await findClaim(store, id, flags.claim);
  const { edges, commandLine } = context;
  const mesh = await startMesh({ ...(await meshConfigOf(flags, output)), commandLine, edges });
  output.status('');
  const peers = openPeers(mesh, await edges.inside('cli'));
  try {
    await peers.waitUntilReady(READY_LIMIT_MS);
    const signal = new AbortController().signal;
    const replayed = await replayClaim({ store, auditId: id, peers, signal }, claim);
    output.result(flags.json === true ? JSON.stringify(replayed) : replayLines(replayed).join('\n'));
    return replayed.holds ? 'OK' : 'CHECK_FAILED';
  } finally {
    peers.close();
    await mesh.stop();
  }
};

const replayLines = ({ claim, numbers, holds }: Replay): string[] => [
  claim.statement,
  ...numbers.map(({ name, stored, recomputed, sameEvaluation }) => {
    const note = sameEvaluation === false ? '  (not the evaluation that the claim names)' : '';
    return `  ${name}: stored ${stored}, recomputed ${recomputed}${note}`;
  }),
  holds ? 'HOLDS' : 'DOES NOT HOLD',
];
