/** Writes k8s/nats-accounts.yaml: `npm run generate:nats-accounts [-- MODEL ...]`, with the names of all models that are served. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectRoot } from '../../project/root.js';
import { renderAccountsFile } from './accounts-file.js';

const models = process.argv.slice(2);
writeFileSync(
  join(projectRoot, 'k8s', 'nats-accounts.yaml'),
  renderAccountsFile(models.length === 0 ? undefined : models),
);
