/** Settings of the search service, from the environment. */
import { addressText, type Environment, loadConfig, wholeNumber, z } from '../../shared/config/load-config.js';
import { LOG_LEVELS, type LogLevel } from '../../shared/log/create-logger.js';
import type { SearchServiceConfig } from './start.js';

const SHAPE = {
  REFUSALSCOPE_INFERENCE_ADDRESS: addressText().prefault('127.0.0.1:7001'),
  REFUSALSCOPE_SAE_ADDRESS: addressText().prefault('127.0.0.1:7002'),
  REFUSALSCOPE_SEARCH_LISTEN: addressText().prefault('127.0.0.1:7003'),
  REFUSALSCOPE_DIRECTION_BUDGET: wholeNumber(1, 10_000_000).optional(),
  REFUSALSCOPE_LOG_LEVEL: z.enum(LOG_LEVELS).prefault('info'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadSearchConfig = (
  environment: Environment,
): Omit<SearchServiceConfig, 'logger'> & { readonly logLevel: LogLevel } => {
  const settings = loadConfig(SHAPE, environment);
  return {
    inferenceAddress: settings.REFUSALSCOPE_INFERENCE_ADDRESS,
    saeAddress: settings.REFUSALSCOPE_SAE_ADDRESS,
    listen: settings.REFUSALSCOPE_SEARCH_LISTEN,
    ...(settings.REFUSALSCOPE_DIRECTION_BUDGET !== undefined && {
      directionBudget: settings.REFUSALSCOPE_DIRECTION_BUDGET,
    }),
    logLevel: settings.REFUSALSCOPE_LOG_LEVEL,
  };
};
