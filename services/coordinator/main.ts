/** The coordinator's process: settings, start, stop on a signal. */
import { runProcess } from '../../shared/process/run-process.js';
import { loadCoordinatorConfig } from './config.js';
import { startCoordinatorService } from './start.js';

await runProcess('coordinator', loadCoordinatorConfig, (config, parts) =>
  startCoordinatorService({ ...config, ...parts }),
);
