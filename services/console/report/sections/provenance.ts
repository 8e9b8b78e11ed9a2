/** Owns where the numbers come from and how to get them again: digests, settings, seed, versions, the work done. */
import type { Report } from '../../../coordinator/report/report-type.js';
import { type Markup, markup } from '../../text/markup.js';
import { countText, durationText, shareText } from '../../text/number-text.js';
import { dataTable } from '../data-table.js';
import type { Section } from '../page-parts.js';

type Fact = readonly [name: string, value: string | number | Markup];

const facts = (rows: readonly Fact[]): Markup =>
  markup`<dl class="provenance">${rows.map(([name, value]) => markup`<dt>${name}</dt><dd>${value === '' ? 'none' : value}</dd>`)}</dl>`;

const digest = (sha256: string): Markup | string => (sha256 ? markup`<span class="id">${sha256}</span>` : '');

export function provenanceSection(report: Report): Section {
  const { model, run } = report;
  const body = markup`
${facts([
  [
    'model',
    `${model.name}: ${model.architecture}, ${model.nLayers} layers, d_model ${model.dModel}, vocabulary ${countText(model.vocabSize)}`,
  ],
  ...digestFacts(report),
])}
<h3>Settings</h3>
${facts(settingFacts(report))}
<h3>Work</h3>
<p>${durationText(run.seconds)} in all, ${countText(run.evaluations)} evaluations asked for, of which ${shareText(run.evaluationsReused, run.evaluations)} needed no work of the model. ${run.resumed > 0 && `Taken up again from a checkpoint: ${countText(run.resumed)} times.`}</p>
${stageTable(report)}
<h3>To get the same numbers again</h3>
<p>The same spec digest on the same model, adapter, tokenizer, template and SAE digests, with the same dtype and versions, gives the same report but for the times. The spec, with the prompts, is kept with the audit’s checkpoint.</p>
${run.commandLine && markup`<pre>${run.commandLine}</pre>`}`;
  return { id: 'provenance', title: 'Provenance and how to reproduce', body };
}

function digestFacts({ provenance, audit }: Report): Fact[] {
  const saes = Object.entries(provenance.saeSha256).map(
    ([layer, sha256]): Fact => [`SAE, layer ${layer}`, digest(sha256)],
  );
  const versions = Object.entries(provenance.versions).map(([name, version]) => `${name} ${version}`);
  return [
    ['weights', digest(provenance.weightsSha256)],
    ['adapter', digest(provenance.adapterSha256)],
    ['tokenizer', digest(provenance.tokenizerSha256)],
    ['chat template', digest(provenance.chatTemplateSha256)],
    ...saes,
    ['prompt set', digest(provenance.promptSetSha256)],
    ['spec', digest(audit.specSha256)],
    ['computed in', `${provenance.computeDtype} on ${provenance.device}; edits, norms and softmax in float32`],
    ['seed', provenance.seed],
    ['versions', versions.join(', ')],
  ];
}

function settingFacts({ settings }: Report): Fact[] {
  return [
    ['layers searched', settings.layers.join(', ')],
    ['candidates a layer', `${settings.growth.join(', ')} until all off flips`],
    ['filter method', settings.filterMethod],
    ['positions edited', settings.positions],
    ['masks, features for the FM', `${countText(settings.fmMasks)}, ${countText(settings.fmFeatures)}`],
    ['control draws a prompt', countText(settings.controlDraws)],
    ['longest answer, tokens', countText(settings.maxNewTokens)],
    ['answers redacted', settings.redactAnswers ? 'yes' : 'no'],
  ];
}

const stageTable = ({ run }: Report): Markup =>
  dataTable({
    caption: 'Stages',
    rows: run.stages,
    columns: [
      { title: 'stage', cell: ({ stage }: Report['run']['stages'][number]) => stage },
      { title: 'time', cell: ({ seconds }) => durationText(seconds), value: ({ seconds }) => seconds },
      {
        title: 'evaluations',
        cell: ({ evaluations }) => countText(evaluations),
        value: ({ evaluations }) => evaluations,
      },
    ],
  });
