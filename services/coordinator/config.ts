/** The coordinator's settings from the environment. */
import { addressText, type Environment, loadConfig, wholeNumber, z } from '../../shared/config/load-config.js';
import { LOG_LEVELS } from '../../shared/log/create-logger.js';
import { defaultStateDir } from './start.js';

export const loadCoordinatorConfig = (environment: Environment = process.env) => {
  const env = loadConfig(
    {
      REFUSALSCOPE_COORDINATOR_LISTEN: addressText().default('0.0.0.0:7000'),
      REFUSALSCOPE_CONSOLE_LISTEN: addressText().optional(),
      REFUSALSCOPE_INFERENCE_ADDRESS: addressText(),
      REFUSALSCOPE_SAE_ADDRESS: addressText(),
      REFUSALSCOPE_SEARCH_ADDRESS: addressText(),
      REFUSALSCOPE_FM_ADDRESS: addressText(),
      REFUSALSCOPE_STATE_DIR: z.string().optional(),
      REFUSALSCOPE_AUDIT_CONCURRENCY: wholeNumber(1, 256).optional(),
      REFUSALSCOPE_LOG_LEVEL: z.enum(LOG_LEVELS).default('info'),
    },
    environment,
  );
  return Object.freeze({
    listen: env.REFUSALSCOPE_COORDINATOR_LISTEN,
    consoleListen: env.REFUSALSCOPE_CONSOLE_LISTEN,
    inferenceAddress: env.REFUSALSCOPE_INFERENCE_ADDRESS,
    saeAddress: env.REFUSALSCOPE_SAE_ADDRESS,
    searchAddress: env.REFUSALSCOPE_SEARCH_ADDRESS,
    fmAddress: env.REFUSALSCOPE_FM_ADDRESS,
    stateDir: env.REFUSALSCOPE_STATE_DIR ?? defaultStateDir(environment),
    concurrency: env.REFUSALSCOPE_AUDIT_CONCURRENCY,
    logLevel: env.REFUSALSCOPE_LOG_LEVEL,
  });
};
