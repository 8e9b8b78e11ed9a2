/** The coordinator's settings from the environment. */
import { addressText, type Environment, loadConfig, wholeNumber, z } from '../../shared/config/load-config.js';
import { LOG_LEVELS } from '../../shared/log/create-logger.js';
import { defaultStateDir } from './start.js';

export const loadCoordinatorConfig = (environment: Environment = process.env) => {
  const env = loadConfig(
    {
      COORDINATOR_LISTEN: addressText().default('0.0.0.0:7000'),
      CONSOLE_LISTEN: addressText().optional(),
      INFERENCE_ADDRESS: addressText(),
      SAE_ADDRESS: addressText(),
      SEARCH_ADDRESS: addressText(),
      FM_ADDRESS: addressText(),
      REFUSALSCOPE_STATE_DIR: z.string().optional(),
      AUDIT_CONCURRENCY: wholeNumber(1, 256).optional(),
      LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
    },
    environment,
  );
  return Object.freeze({
    listen: env.COORDINATOR_LISTEN,
    consoleListen: env.CONSOLE_LISTEN,
    inferenceAddress: env.INFERENCE_ADDRESS,
    saeAddress: env.SAE_ADDRESS,
    searchAddress: env.SEARCH_ADDRESS,
    fmAddress: env.FM_ADDRESS,
    stateDir: env.REFUSALSCOPE_STATE_DIR ?? defaultStateDir(environment),
    concurrency: env.AUDIT_CONCURRENCY,
    logLevel: env.LOG_LEVEL,
  });
};
