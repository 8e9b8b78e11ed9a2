/** Settings of the SAE service, from the environment. */
import { join } from 'node:path';
import {
  addressText,
  type Environment,
  loadConfig,
  textList,
  wholeNumber,
  z,
} from '../../shared/config/load-config.js';
import { LOG_LEVELS, type LogLevel } from '../../shared/log/create-logger.js';
import { cacheFolderOf } from '../../shared/model-store/embedded-model.js';
import { projectRoot } from '../../shared/project/root.js';
import type { SaeServiceConfig } from './start.js';

const EMBEDDED_SAES = join(projectRoot, 'models', 'saes');

const SHAPE = {
  REFUSALSCOPE_SAE_DIRS: textList().optional(),
  REFUSALSCOPE_SAE_LISTEN: addressText().prefault('127.0.0.1:7002'),
  REFUSALSCOPE_SAE_CACHE_MB: wholeNumber(16, 1 << 20).prefault('512'),
  REFUSALSCOPE_SAE_WIDTH: wholeNumber(1, 1 << 22).optional(),
  REFUSALSCOPE_SAE_L0: wholeNumber(1, 1 << 16).optional(),
  REFUSALSCOPE_LOG_LEVEL: z.enum(LOG_LEVELS).prefault('info'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadSaeConfig = (
  environment: Environment,
): Omit<SaeServiceConfig, 'logger'> & { readonly logLevel: LogLevel } => {
  const settings = loadConfig(SHAPE, environment);
  return {
    saeDirs: settings.REFUSALSCOPE_SAE_DIRS ?? [EMBEDDED_SAES],
    listen: settings.REFUSALSCOPE_SAE_LISTEN,
    cacheBytes: settings.REFUSALSCOPE_SAE_CACHE_MB * (1 << 20),
    choice: {
      ...(settings.REFUSALSCOPE_SAE_WIDTH !== undefined && { width: settings.REFUSALSCOPE_SAE_WIDTH }),
      ...(settings.REFUSALSCOPE_SAE_L0 !== undefined && { l0: settings.REFUSALSCOPE_SAE_L0 }),
    },
    digestDir: cacheFolderOf({ ...environment }),
    logLevel: settings.REFUSALSCOPE_LOG_LEVEL,
  };
};
