/** The process of the search service: environment, start, stop on a signal. */
import { isFault } from '../../shared/errors/fault.js';
import { createLogger } from '../../shared/log/create-logger.js';
import { loadSearchConfig } from './config.js';
import { startSearchService } from './start.js';

const run = async (): Promise<void> => {
  const { logLevel, ...config } = loadSearchConfig(process.env);
  const logger = createLogger('search', logLevel);
  const service = await startSearchService({ ...config, logger });
  logger.info({ address: service.address, inference: config.inferenceAddress, sae: config.saeAddress }, 'serving');
  const stop = () => void service.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
};

run().catch((problem: unknown) => {
  process.stderr.write(`${isFault(problem) ? problem.message : String(problem)}\n`);
  process.exitCode = 1;
});
