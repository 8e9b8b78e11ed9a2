/** The process of the inference service: settings, start, stop on a signal. */
import { runProcess } from '../../shared/process/run-process.js';
import { loadInferenceConfig } from './config.js';
import { startInferenceService } from './start.js';

await runProcess('inference', loadInferenceConfig, (config, parts) => startInferenceService({ ...config, ...parts }));
