/** The process of the SAE service: settings, start, stop on a signal. */
import { runProcess } from '../../shared/process/run-process.js';
import { loadSaeConfig } from './config.js';
import { startSaeService } from './start.js';

await runProcess('sae', loadSaeConfig, (config, parts) => startSaeService({ ...config, ...parts }));
