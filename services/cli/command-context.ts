/** What every command gets from main.ts: streams, the command line for reports, and the one place that turns faults into exit codes. */
import { type Environment, loadConfig } from '../../shared/config/load-config.js';
import { fault, isFault } from '../../shared/errors/fault.js';
import { EDGE_SHAPE } from '../../shared/process/edge-settings.js';
import { type MeshEdges, openMeshEdges } from '../mesh/mesh-edges.js';
import type { Output } from './console-output.js';
import { EXIT_CODES, type ExitName, exitNameOf } from './exit-codes.js';

export interface CommandContext {
  readonly output: Output;
  /** As it can be typed again. */
  readonly commandLine: string;
  readonly environment: Environment;
  /** Certificates, token, traces: open while a command of `run` runs. */
  readonly edges: MeshEdges;
  /** Runs the command in a span of its own and sets the exit code. */
  run(command: () => Promise<ExitName>): Promise<void>;
  /** The same for a command that calls no service, and runs with settings that are not valid. */
  runAlone(command: () => Promise<ExitName>): Promise<void>;
}

export const createContext = (
  output: Output,
  commandLine: string,
  setExitCode: (code: number) => void,
  environment: Environment = process.env,
): CommandContext => {
  let edges: MeshEdges | undefined;
  const runAlone = async (command: () => Promise<ExitName>): Promise<void> => {
    try {
      setExitCode(EXIT_CODES[await command()].code);
    } catch (thrown) {
      setExitCode(EXIT_CODES[report(thrown, output)].code);
    }
  };
  const run = (command: () => Promise<ExitName>): Promise<void> =>
    runAlone(async () => {
      const open = await openMeshEdges(loadConfig(EDGE_SHAPE, environment), 'warn');
      edges = open;
      try {
        return await open.telemetry.inSpan(spanName(commandLine), {}, command);
      } finally {
        await open.close();
      }
    });
  return {
    output,
    commandLine,
    environment,
    get edges() {
      if (edges === undefined) throw fault('INTERNAL', 'This command runs without the settings of calls.');
      return edges;
    },
    run,
    runAlone,
  };
};

/** "refusalscope audit": the flags may hold a prompt. */
const spanName = (commandLine: string): string => /refusalscope( [a-z-]+)?/.exec(commandLine)?.[0] ?? 'refusalscope';

const report = (thrown: unknown, output: Output): ExitName => {
  if (isFault(thrown) && thrown.code !== 'INTERNAL') {
    output.note(`${thrown.code}: ${thrown.message}`);
    return exitNameOf(thrown.code);
  }
  output.note(thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown));
  return 'INTERNAL';
};
