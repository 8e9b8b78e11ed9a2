/** Settings of every service: the environment, and the file under it. */
import { COORDINATOR_SETTINGS } from '../../../services/coordinator/config.js';
import { FM_SETTINGS } from '../../../services/fm/config.js';
import { INFERENCE_SETTINGS } from '../../../services/inference/config.js';
import { SAE_SETTINGS } from '../../../services/sae/config.js';
import { SEARCH_SETTINGS } from '../../../services/search/config.js';
import { describeConfig, loadConfig } from '../../../shared/config/load-config.js';
import { type BusSettings, busConfigOf } from '../../../shared/process/bus-settings.js';
import { assertEdgeSettings, type EdgeSettings } from '../../../shared/process/edge-settings.js';
import type { FuzzTarget } from '../harness/fuzz-target.js';
import { chance, one } from '../mutate/edge-values.js';
import { type Json, mutateJsonText } from '../mutate/mutate-json.js';
import { mutateText } from '../mutate/mutate-text.js';
import { createScratchFiles } from './scratch-files.js';

const SHAPES = {
  inference: INFERENCE_SETTINGS,
  sae: SAE_SETTINGS,
  search: SEARCH_SETTINGS,
  fm: FM_SETTINGS,
  coordinator: COORDINATOR_SETTINGS,
} as const;
const SECTIONS = Object.keys(SHAPES) as (keyof typeof SHAPES)[];
const VALUES = [
  '1',
  '0',
  '',
  'true',
  '127.0.0.1:7001',
  '[::1]:0',
  'nats://u:p@h:4222,tls://x',
  'http://127.0.0.1:4317',
  '/path',
  'require',
  'cpu',
  '0.5',
  '99999999999999999999',
  '1e3',
  '-1',
];

export const settings: FuzzTarget = {
  name: 'settings',
  reads: 'the environment and the settings file of every service',
  weight: 3,
  shortCases: 60,
  open: (scratch) => {
    const write = createScratchFiles(scratch);
    const seed: Json = {
      shared: { REFUSALSCOPE_LOG_LEVEL: 'info', REFUSALSCOPE_MAX_CALLS: 10 },
      sae: { REFUSALSCOPE_SAE_DIRS: ['/a', '/b'] },
      search: { REFUSALSCOPE_DIRECTION_BUDGET: 3 },
    };
    return {
      make: (random) => {
        const section = one(random, SECTIONS);
        const names = random.pick(Object.keys(SHAPES[section]), random.below(6));
        const entries = names.map((name) => {
          const value = one(random, VALUES);
          return [name, chance(random, 0.5) ? mutateText(random, value, VALUES, 2) : value];
        });
        return {
          [`${section}.env`]: Buffer.from(JSON.stringify(Object.fromEntries(entries))),
          'settings.json': mutateJsonText(random, seed),
        };
      },
      decode: (input) => {
        const file = `${write({ 'settings.json': input['settings.json']! })}/settings.json`;
        const name = Object.keys(input).find((part) => part.endsWith('.env'))!;
        const section = name.slice(0, -4) as keyof typeof SHAPES;
        const environment = {
          ...(JSON.parse(Buffer.from(input[name]!).toString('utf8')) as Record<string, string>),
          REFUSALSCOPE_CONFIG: file,
        };
        const values: object = loadConfig(SHAPES[section], environment, section);
        assertEdgeSettings(values as EdgeSettings);
        busConfigOf({ REFUSALSCOPE_NATS_SERVERS: [], ...values } as unknown as BusSettings & EdgeSettings);
        return describeConfig(SHAPES[section], environment, section).length > 0;
      },
    };
  },
};
