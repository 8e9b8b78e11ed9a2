/** Settings of the FM service, from the environment. */
import { addressText, type Environment, loadConfig, wholeNumber, z } from '../../shared/config/load-config.js';
import { LOG_LEVELS, type LogLevel } from '../../shared/log/create-logger.js';
import type { FmServiceConfig } from './start.js';

const SHAPE = {
  REFUSALSCOPE_FM_LISTEN: addressText().prefault('127.0.0.1:7004'),
  REFUSALSCOPE_FM_MAX_FITS: wholeNumber(1, 1024).prefault('16'),
  REFUSALSCOPE_LOG_LEVEL: z.enum(LOG_LEVELS).prefault('info'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadFmConfig = (
  environment: Environment,
): Omit<FmServiceConfig, 'logger'> & { readonly logLevel: LogLevel } => {
  const settings = loadConfig(SHAPE, environment);
  return {
    listen: settings.REFUSALSCOPE_FM_LISTEN,
    maxFits: settings.REFUSALSCOPE_FM_MAX_FITS,
    logLevel: settings.REFUSALSCOPE_LOG_LEVEL,
  };
};
