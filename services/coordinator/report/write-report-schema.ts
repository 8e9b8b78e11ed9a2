/** Writes report-schema.json (npm run generate:report-schema). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../../shared/project/root.js';
import { reportJsonSchema } from './report-schema.js';

writeFileSync(join(projectRoot, 'services', 'coordinator', 'report', 'report-schema.json'), reportJsonSchema());
