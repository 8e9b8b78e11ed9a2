/** Settings of the FM service, from the environment and the settings file. */
import { addressText, type Environment, loadConfig, wholeNumber } from '../../shared/config/load-config.js';
import { EDGE_SHAPE, type EdgeSettings } from '../../shared/process/edge-settings.js';
import type { FmServiceConfig } from './start.js';

export const FM_SETTINGS = {
  ...EDGE_SHAPE,
  REFUSALSCOPE_FM_LISTEN: addressText().prefault('127.0.0.1:7004'),
  REFUSALSCOPE_FM_MAX_FITS: wholeNumber(1, 1024).prefault('16'),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadFmConfig = (
  environment: Environment,
): Omit<FmServiceConfig, 'edge' | 'logger'> & { readonly edge: EdgeSettings } => {
  const settings = loadConfig(FM_SETTINGS, environment, 'fm');
  return {
    listen: settings.REFUSALSCOPE_FM_LISTEN,
    maxFits: settings.REFUSALSCOPE_FM_MAX_FITS,
    edge: settings,
  };
};
