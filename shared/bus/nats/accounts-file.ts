/** k8s/nats-accounts.yaml: more values for the NATS chart, made from the code's own names. A test holds the file against this. */
import { evaluationQueueName } from '../evaluation-work.js';
import { natsAccountsOf } from './nats-accounts.js';

const NAMESPACE = 'refusal';
const EMBEDDED = ['smollm2-135m-refusal'];

export const renderAccountsFile = (models: readonly string[] = EMBEDDED): string => {
  const accounts = natsAccountsOf({ namespace: NAMESPACE, queues: models.map(evaluationQueueName) });
  const lines = Object.entries(accounts).flatMap(([name, { users }]) => [
    `      ${name}:`,
    '        jetstream: enabled',
    '        users:',
    ...users.flatMap(({ user, permissions }) => [
      `          - user: ${user}`,
      '            permissions:',
      ...listOf('publish', permissions.publish.allow),
      ...listOf('subscribe', permissions.subscribe.allow),
    ]),
  ]);
  return `${HEAD}config:\n  merge:\n    accounts:\n${lines.join('\n')}\n`;
};

const HEAD = `# Written by npm run generate:nats-accounts [-- MODEL ...] from shared/bus/nats/nats-rights.ts; values of the NATS chart, beside nats-values.yaml.
# A service is known by the URI in its certificate and may do what is here and no more. Streams of a queue are named by the model they
# are for: run it again with the names of all models that are served.
`;

const listOf = (direction: string, allowed: readonly string[]): string[] => [
  `              ${direction}:`,
  '                allow:',
  ...allowed.map((subject) => `                  - ${JSON.stringify(subject)}`),
];
