/** `refusalscope config`: the settings of every service as its process would read them here, with secrets hidden. */
import type { Command } from 'commander';
import { describeConfig, type SettingRow } from '../../../shared/config/load-config.js';
import type { Section } from '../../../shared/config/settings-file.js';
import { isFault } from '../../../shared/errors/fault.js';
import { COORDINATOR_SETTINGS } from '../../coordinator/config.js';
import { FM_SETTINGS } from '../../fm/config.js';
import { INFERENCE_SETTINGS } from '../../inference/config.js';
import { SAE_SETTINGS } from '../../sae/config.js';
import { SEARCH_SETTINGS } from '../../search/config.js';
import type { CommandContext } from '../command-context.js';

type ServiceName = Exclude<Section, 'shared'>;

const SETTINGS: Readonly<Record<ServiceName, Parameters<typeof describeConfig>[0]>> = {
  inference: INFERENCE_SETTINGS,
  sae: SAE_SETTINGS,
  search: SEARCH_SETTINGS,
  fm: FM_SETTINGS,
  coordinator: COORDINATOR_SETTINGS,
};

export const addConfigCommand = (program: Command, context: CommandContext): void => {
  program
    .command('config')
    .description('print the settings of every service that are in effect here, and check them')
    .argument('[service...]', `which services: ${Object.keys(SETTINGS).join(', ')} (default: all)`)
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      '\nFrom the environment, and under it the file that REFUSALSCOPE_CONFIG names. Exit code 2 if a service could not start with them.\n\n' +
        'Examples:\n  $ npx refusalscope config\n  $ REFUSALSCOPE_CONFIG=mesh.json npx refusalscope config inference --json',
    )
    .action((names: string[], flags: { json?: boolean }) =>
      context.runAlone(async () => {
        const unknown = names.filter((name) => !(name in SETTINGS));
        if (unknown.length > 0) {
          context.output.note(
            `No service is named ${unknown.join(', ')}; there are ${Object.keys(SETTINGS).join(', ')}.`,
          );
          return 'USAGE';
        }
        const wanted = (Object.keys(SETTINGS) as ServiceName[]).filter(
          (name) => names.length === 0 || names.includes(name),
        );
        const sound = wanted.map((service) => printService(service, flags.json === true, context));
        return sound.every(Boolean) ? 'OK' : 'USAGE';
      }),
    );
};

/** False if the service could not start with its settings. */
const printService = (service: ServiceName, json: boolean, { output, environment }: CommandContext): boolean => {
  let rows: SettingRow[];
  try {
    rows = describeConfig(SETTINGS[service], environment, service);
  } catch (thrown) {
    if (!isFault(thrown)) throw thrown;
    output.note(`${service}: ${thrown.code}: ${thrown.message}`);
    return false;
  }
  if (!json) output.result(`[${service}]`);
  const width = Math.max(...rows.map(({ name }) => name.length));
  for (const row of rows) {
    const { name, value = null, source } = row;
    output.result(
      json
        ? JSON.stringify({ service, name, value, source })
        : `${name.padEnd(width)}  ${(value === null ? '-' : JSON.stringify(value)).padEnd(24)}  ${source}`,
    );
  }
  if (!json) output.result('');
  return true;
};
