/** The process of the SAE service: environment, start, stop on a signal. */
import { isFault } from '../../shared/errors/fault.js';
import { createLogger } from '../../shared/log/create-logger.js';
import { loadSaeConfig } from './config.js';
import { startSaeService } from './start.js';

const run = async (): Promise<void> => {
  const { logLevel, ...config } = loadSaeConfig(process.env);
  const logger = createLogger('sae', logLevel);
  const service = await startSaeService({ ...config, logger });
  logger.info({ address: service.address, saeDirs: config.saeDirs }, 'serving');
  const stop = () => void service.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
};

run().catch((problem: unknown) => {
  process.stderr.write(`${isFault(problem) ? problem.message : String(problem)}\n`);
  process.exitCode = 1;
});
