/** The process of the FM service: settings, start, stop on a signal. */
import { runProcess } from '../../shared/process/run-process.js';
import { loadFmConfig } from './config.js';
import { startFmService } from './start.js';

await runProcess('fm', loadFmConfig, (config, parts) => startFmService({ ...config, ...parts }));
