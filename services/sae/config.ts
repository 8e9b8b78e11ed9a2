/** Settings of the SAE service, from the environment and the settings file. */
import { join } from 'node:path';
import { addressText, type Environment, loadConfig, textList, wholeNumber } from '../../shared/config/load-config.js';
import { cacheFolderOf } from '../../shared/model-store/embedded-model.js';
import { EDGE_SHAPE, type EdgeSettings } from '../../shared/process/edge-settings.js';
import { projectRoot } from '../../shared/project/root.js';
import type { SaeServiceConfig } from './start.js';

const EMBEDDED_SAES = join(projectRoot, 'models', 'saes');

export const SAE_SETTINGS = {
  ...EDGE_SHAPE,
  REFUSALSCOPE_SAE_DIRS: textList().optional(),
  REFUSALSCOPE_SAE_LISTEN: addressText().prefault('127.0.0.1:7002'),
  REFUSALSCOPE_SAE_CACHE_MB: wholeNumber(16, 1 << 20).prefault('512'),
  REFUSALSCOPE_SAE_WIDTH: wholeNumber(1, 1 << 22).optional(),
  REFUSALSCOPE_SAE_L0: wholeNumber(1, 1 << 16).optional(),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadSaeConfig = (
  environment: Environment,
): Omit<SaeServiceConfig, 'edge' | 'logger'> & { readonly edge: EdgeSettings } => {
  const settings = loadConfig(SAE_SETTINGS, environment, 'sae');
  return {
    saeDirs: settings.REFUSALSCOPE_SAE_DIRS ?? [EMBEDDED_SAES],
    listen: settings.REFUSALSCOPE_SAE_LISTEN,
    cacheBytes: settings.REFUSALSCOPE_SAE_CACHE_MB * (1 << 20),
    choice: {
      ...(settings.REFUSALSCOPE_SAE_WIDTH !== undefined && { width: settings.REFUSALSCOPE_SAE_WIDTH }),
      ...(settings.REFUSALSCOPE_SAE_L0 !== undefined && { l0: settings.REFUSALSCOPE_SAE_L0 }),
    },
    digestDir: cacheFolderOf({ ...environment }),
    edge: settings,
  };
};
