/**
 * npm run trace:picture [-- --out FILE] [--spans FILE]: runs one audit through the mesh, as processes and over NATS, and draws its trace into docs/trace.svg.
 * `--spans` keeps the spans as JSON, or draws them again where the file exists. Ends with status 1 if the trace is torn, a service is
 * missing in it, or nothing crossed the queue.
 */
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../../shared/project/root.js';
import type { SeenSpan } from '../../test/integration/telemetry/otlp-collector.js';
import { drawTrace, type TraceFacts } from './draw-trace.js';
import { findJoin } from './find-join.js';
import { flattenRows, foldSpans, nameProcesses } from './fold-spans.js';
import { nestSpans } from './nest-spans.js';
import { SERVICE_COLOURS } from './picture-style.js';
import { recordAudit } from './record-audit.js';
import { KIND } from './span-words.js';

const ROWS = 84;

const { values } = parseArgs({
  options: {
    out: { type: 'string', default: join(projectRoot, 'docs', 'trace.svg') },
    spans: { type: 'string' },
  },
});

const readOrRecord = async (file: string | undefined): Promise<SeenSpan[]> => {
  if (file !== undefined && existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as SeenSpan[];
  const spans = await recordAudit();
  if (file !== undefined) await writeFile(file, JSON.stringify(spans));
  return spans;
};

/** @throws if a service sent no span or nothing crossed the queue */
const factsOf = (spans: readonly SeenSpan[]): TraceFacts => {
  const missing = Object.keys(SERVICE_COLOURS).filter((name) => !spans.some(({ service }) => service === name));
  if (missing.length > 0) throw new Error(`no span of ${missing.join(', ')}`);
  const overTheQueue = spans.filter(({ kind }) => kind === KIND.consumer).length;
  if (overTheQueue === 0) throw new Error('no work item crossed the queue');
  const linked = spans.filter(({ links }) => links.length > 0).length;
  const title = 'One audit, one trace: from the command line through the mesh';
  return { title, spans: spans.length, overTheQueue, linked };
};

const spans = await readOrRecord(values.spans);
const root = nestSpans(spans);
const facts = factsOf(spans);
const nameOf = nameProcesses(spans);
const rows = flattenRows(foldSpans(root, nameOf), ROWS);
const picture = drawTrace(rows, findJoin(spans, root.span.startMs, nameOf), facts);
await writeFile(values.out, picture);
process.stdout.write(
  `${values.out}: ${rows.length} rows of ${facts.spans} spans, ${picture.length} bytes; ${facts.overTheQueue} items over NATS, ${facts.linked} linked jobs\n`,
);
