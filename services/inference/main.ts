/** The process of the inference service: environment, start, stop on a signal. */
import { isFault } from '../../shared/errors/fault.js';
import { createLogger } from '../../shared/log/create-logger.js';
import { loadInferenceConfig } from './config.js';
import { startInferenceService } from './start.js';

const run = async (): Promise<void> => {
  const { logLevel, ...config } = loadInferenceConfig(process.env);
  const logger = createLogger('inference', logLevel);
  const service = await startInferenceService({ ...config, logger });
  logger.info({ address: service.address, model: config.modelName }, 'serving');
  const stop = () => void service.stop().then(() => process.exit(0));
  process.once('SIGTERM', stop);
  process.once('SIGINT', stop);
};

run().catch((problem: unknown) => {
  process.stderr.write(`${isFault(problem) ? problem.message : String(problem)}\n`);
  process.exitCode = 1;
});
