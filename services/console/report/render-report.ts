/**
 * Makes the report page: one HTML file from the report's JSON alone, with its style, script and charts inside, and a policy that
 * forbids the page to load or send anything. Prevents a finding from being shown without its provenance: the page holds all of the report.
 */
import { fault } from '../../../shared/errors/fault.js';
import { REPORT_SCHEMA, type Report } from '../../coordinator/report/report-type.js';
import { loadAsset } from '../load-asset.js';
import { timeText } from '../pages/state-badge.js';
import { Markup, markup } from '../text/markup.js';
import type { Section } from './page-parts.js';
import { alternativesSection } from './sections/alternatives.js';
import { baselineSection } from './sections/baselines.js';
import { controlsSection } from './sections/controls.js';
import { costSection } from './sections/cost.js';
import { depthSection } from './sections/depth.js';
import { directionSection } from './sections/direction.js';
import { dormantSection } from './sections/dormant.js';
import { familySection } from './sections/family.js';
import { headlineSection } from './sections/headline.js';
import { hydraSection } from './sections/hydra.js';
import { interactionsSection } from './sections/interactions.js';
import { lengthAgreementSection } from './sections/length-agreement.js';
import { minimalSetsSection } from './sections/minimal-sets.js';
import { overRefusalSection } from './sections/over-refusal.js';
import { paperSection } from './sections/paper.js';
import { promptsSection } from './sections/prompts.js';
import { provenanceSection } from './sections/provenance.js';
import { saesSection } from './sections/saes.js';
import { sufficiencySection } from './sections/sufficiency.js';
import { verificationSection } from './sections/verification.js';
import { warningsSection } from './sections/warnings.js';

const STYLE = loadAsset('base.css', 'report.css', 'charts.css', 'print.css');
const SCRIPT = loadAsset('report.js');

/** The page may run its own style and script, known by digest, and nothing else. Also sent as a header by the console. */
export const REPORT_POLICY = [
  "default-src 'none'",
  `style-src ${STYLE.policySource}`,
  `script-src ${SCRIPT.policySource}`,
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');

/** One that has nothing to show leaves itself out. */
const SECTIONS: readonly ((report: Report) => Section | undefined)[] = [
  headlineSection,
  warningsSection,
  overRefusalSection,
  baselineSection,
  directionSection,
  depthSection,
  minimalSetsSection,
  familySection,
  sufficiencySection,
  costSection,
  promptsSection,
  interactionsSection,
  dormantSection,
  hydraSection,
  controlsSection,
  alternativesSection,
  verificationSection,
  lengthAgreementSection,
  paperSection,
  saesSection,
  provenanceSection,
];

/** The report as one self-contained HTML file. Its texts go in as text, never as HTML. Throws REQUEST_INVALID for another schema. */
export function renderReport(report: Report): string {
  if (report.schema !== REPORT_SCHEMA)
    throw fault(
      'REQUEST_INVALID',
      `This report has the schema "${report.schema}": this version shows "${REPORT_SCHEMA}". Show it with the version that made it.`,
    );
  const sections = SECTIONS.flatMap((section) => section(report) ?? []);
  const title = report.audit.title || `Audit ${report.audit.id}`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${REPORT_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${title} · RefusalScope</title>
<style>${new Markup(STYLE.text)}</style>
</head>
<body>
<div class="report">
${masthead(report, title)}
<div class="contents"><nav aria-label="Contents"><ol>${sections.map(({ id, title }) => markup`<li><a href="#${id}">${title}</a></li>`)}</ol></nav></div>
<main class="body">
${sections.map(
  ({
    id,
    title,
    body,
  }) => markup`<section id="${id}" aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${body}</section>
`,
)}
<footer class="colophon"><p>Made from <code>report.json</code> alone (schema ${report.schema}). Scores are log-odds in nats: above 0 the model refuses, below 0 it does not.</p></footer>
</main>
</div>
<script>${new Markup(SCRIPT.text)}</script>
</body>
</html>
`.text;
}

const masthead = (report: Report, title: string): Markup =>
  markup`<header class="masthead"><p class="kind">RefusalScope audit</p><h1>${title}</h1><p class="byline">${report.model.name} · ${report.provenance.computeDtype} · seed ${report.provenance.seed} · finished ${timeText(report.run.finishedAt)} · <span class="id">${report.audit.id}</span></p></header>`;
