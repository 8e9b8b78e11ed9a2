/** Settings of the coordinator, from the environment and the settings file. */
import {
  addressText,
  type Environment,
  loadConfig,
  peerAddressText,
  wholeNumber,
  z,
} from '../../shared/config/load-config.js';
import { BUS_SHAPE, busConfigOf } from '../../shared/process/bus-settings.js';
import { EDGE_SHAPE } from '../../shared/process/edge-settings.js';
import { defaultStateDir } from './start.js';

export const COORDINATOR_SETTINGS = {
  ...EDGE_SHAPE,
  ...BUS_SHAPE,
  REFUSALSCOPE_COORDINATOR_LISTEN: addressText().prefault('127.0.0.1:7000'),
  REFUSALSCOPE_CONSOLE_LISTEN: addressText().optional(),
  REFUSALSCOPE_INFERENCE_ADDRESS: peerAddressText(),
  REFUSALSCOPE_SAE_ADDRESS: peerAddressText(),
  REFUSALSCOPE_SEARCH_ADDRESS: peerAddressText(),
  REFUSALSCOPE_FM_ADDRESS: peerAddressText(),
  REFUSALSCOPE_STATE_DIR: z.string().optional(),
  REFUSALSCOPE_LEASE_S: wholeNumber(1, 300).prefault('10'),
  REFUSALSCOPE_AUDIT_CONCURRENCY: wholeNumber(1, 256).optional(),
};

/** Throws CONFIG_INVALID with every faulty setting. */
export const loadCoordinatorConfig = (environment: Environment = process.env) => {
  const settings = loadConfig(COORDINATOR_SETTINGS, environment, 'coordinator');
  return Object.freeze({
    listen: settings.REFUSALSCOPE_COORDINATOR_LISTEN,
    consoleListen: settings.REFUSALSCOPE_CONSOLE_LISTEN,
    inferenceAddress: settings.REFUSALSCOPE_INFERENCE_ADDRESS,
    saeAddress: settings.REFUSALSCOPE_SAE_ADDRESS,
    searchAddress: settings.REFUSALSCOPE_SEARCH_ADDRESS,
    fmAddress: settings.REFUSALSCOPE_FM_ADDRESS,
    stateDir: settings.REFUSALSCOPE_STATE_DIR ?? defaultStateDir(environment),
    concurrency: settings.REFUSALSCOPE_AUDIT_CONCURRENCY,
    bus: busConfigOf(settings),
    leaseTermMs: settings.REFUSALSCOPE_LEASE_S * 1000,
    edge: settings,
  });
};
