/** Settings of the search service, from the environment and the settings file. */
import {
  addressText,
  type Environment,
  loadConfig,
  peerAddressText,
  secretText,
  wholeNumber,
  z,
} from '../../shared/config/load-config.js';
import { BUS_SHAPE, busConfigOf } from '../../shared/process/bus-settings.js';
import { EDGE_SHAPE, type EdgeSettings } from '../../shared/process/edge-settings.js';
import type { SearchServiceConfig } from './start.js';

export const SEARCH_SETTINGS = {
  ...EDGE_SHAPE,
  ...BUS_SHAPE,
  REFUSALSCOPE_INFERENCE_ADDRESS: peerAddressText().prefault('127.0.0.1:7001'),
  REFUSALSCOPE_SAE_ADDRESS: peerAddressText().prefault('127.0.0.1:7002'),
  REFUSALSCOPE_SEARCH_LISTEN: addressText().prefault('127.0.0.1:7003'),
  REFUSALSCOPE_DIRECTION_BUDGET: wholeNumber(1, 10_000_000).optional(),
  REFUSALSCOPE_JUDGE_URL: z.string().optional(),
  REFUSALSCOPE_JUDGE_MODEL: z.string().max(256).prefault('judge'),
  REFUSALSCOPE_JUDGE_KEY: secretText().optional(),
  REFUSALSCOPE_SEND_ANSWERS_TO_JUDGE: z.enum(['true', 'false']).prefault('false'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadSearchConfig = (
  environment: Environment,
): Omit<SearchServiceConfig, 'edge' | 'logger'> & { readonly edge: EdgeSettings } => {
  const settings = loadConfig(SEARCH_SETTINGS, environment, 'search');
  return {
    inferenceAddress: settings.REFUSALSCOPE_INFERENCE_ADDRESS,
    saeAddress: settings.REFUSALSCOPE_SAE_ADDRESS,
    listen: settings.REFUSALSCOPE_SEARCH_LISTEN,
    ...(settings.REFUSALSCOPE_DIRECTION_BUDGET !== undefined && {
      directionBudget: settings.REFUSALSCOPE_DIRECTION_BUDGET,
    }),
    ...(settings.REFUSALSCOPE_JUDGE_URL !== undefined && {
      judge: {
        url: settings.REFUSALSCOPE_JUDGE_URL,
        model: settings.REFUSALSCOPE_JUDGE_MODEL,
        key: settings.REFUSALSCOPE_JUDGE_KEY,
        sendAnswers: settings.REFUSALSCOPE_SEND_ANSWERS_TO_JUDGE === 'true',
      },
    }),
    bus: busConfigOf(settings),
    edge: settings,
  };
};
