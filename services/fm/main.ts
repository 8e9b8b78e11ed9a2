/** The process of the FM service: environment, start, stop on a signal. */
import { isFault } from '../../shared/errors/fault.js';
import { createLogger } from '../../shared/log/create-logger.js';
import { loadFmConfig } from './config.js';
import { startFmService } from './start.js';

const run = async (): Promise<void> => {
  const { logLevel, ...config } = loadFmConfig(process.env);
  const logger = createLogger('fm', logLevel);
  const service = await startFmService({ ...config, logger });
  logger.info({ address: service.address }, 'serving');
  const stop = () => void service.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
};

run().catch((problem: unknown) => {
  process.stderr.write(`${isFault(problem) ? problem.message : String(problem)}\n`);
  process.exitCode = 1;
});
