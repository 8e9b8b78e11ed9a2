/** Renders docs/errors.md from the registry, so that the page and the code cannot disagree (a test compares the two). */
import { FAULTS } from './fault.js';

const HEAD = `# Errors

Every error that leaves a service has a code from this list. The code decides the gRPC status; the text says what was given, what the
limit is and what to do. The code travels as \`google.rpc.ErrorInfo.reason\` (domain \`refusalscope\`) in the trailer
\`grpc-status-details-bin\`, beside the request id, which is also the trailer \`x-request-id\` and stands in the service's log.

"Retry" says whether the same call can succeed later without a change. Clients of this project retry those by themselves, a bounded number
of times, for methods that the proto marks idempotent.

Three kinds are kept apart: a request that can never fit (INVALID_ARGUMENT), one that would fit but not now (RESOURCE_EXHAUSTED), and a
service that is starting, stopping or away (UNAVAILABLE). Anything unexpected is INTERNAL with a fixed text: its cause is in the service's
log under the request id, and never in the answer.

Written by \`npm run generate:errors\`; do not edit by hand.

| code | gRPC status | retry | meaning |
| --- | --- | --- | --- |
`;

export const renderErrorsPage = (): string => {
  const rows = Object.entries(FAULTS).map(
    ([code, row]) => `| ${code} | ${row.status} | ${row.retryable ? 'yes' : 'no'} | ${row.meaning} |`,
  );
  return `${HEAD}${rows.join('\n')}\n`;
};
