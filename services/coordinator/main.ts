/** The coordinator's process: settings, start, stop on a signal. */
import { createLogger } from '../../shared/log/create-logger.js';
import { runProcess } from '../../shared/rpc/run-process.js';
import { loadCoordinatorConfig } from './config.js';
import { startCoordinatorService } from './start.js';

await runProcess('coordinator', async () => {
  const config = loadCoordinatorConfig();
  const logger = createLogger('coordinator', config.logLevel);
  const running = await startCoordinatorService({ ...config, logger });
  logger.info({ address: running.address, console: running.consoleAddress }, 'listening');
  return running;
});
