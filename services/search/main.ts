/** The process of the search service: settings, start, stop on a signal. */
import { runProcess } from '../../shared/process/run-process.js';
import { loadSearchConfig } from './config.js';
import { startSearchService } from './start.js';

await runProcess('search', loadSearchConfig, (config, parts) => startSearchService({ ...config, ...parts }));
