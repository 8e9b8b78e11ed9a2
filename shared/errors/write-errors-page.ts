/** Writes docs/errors.md (npm run generate:errors). */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../project/root.js';
import { renderErrorsPage } from './errors-page.js';

writeFileSync(join(projectRoot, 'docs', 'errors.md'), renderErrorsPage());
