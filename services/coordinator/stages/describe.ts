/** Stage "describe": what is served, which layers will be searched, and whether every prompt fits, before any work is done. */
import { fault } from '../../../shared/errors/fault.js';
import { projectVersion } from '../../../shared/project/version.js';
import { decodeSae, present } from '../peers/from-wire.js';
import { encodePrompt } from '../peers/to-wire.js';
import type { SaeFacts } from '../report/report-type.js';
import type { Stage, StageContext } from './stage.js';

// Arditi et al. 2024, appendix C: a direction from the last fifth of the layers merely writes the opener.
const SEARCHED_DEPTH = 0.8;

export const describeStage: Stage<'describe'> = {
  name: 'describe',
  async run(context) {
    const { peers, spec, signal } = context;
    const served = await peers.inference.describeModel({ model: spec.model }, { signal });
    const { saes } = await peers.sae.listSaes({}, { signal });
    const layers = chooseLayers(
      spec.layers,
      saes.map((sae) => sae.layer),
      served.nLayers,
      spec.paper !== undefined,
    );
    for (const sae of saes) assertWidth(sae.layer, sae.dIn, served.dModel);
    const facts = saes.map((sae) => decodeSae(sae, layers.includes(sae.layer))).sort((a, b) => a.layer - b.layer);
    const maxPrompts = Math.max(1, served.limits?.maxPrompts ?? 1);
    const provenance = present(served.provenance, "the model's provenance");
    return {
      model: {
        name: served.model,
        architecture: served.architecture,
        nLayers: served.nLayers,
        dModel: served.dModel,
        vocabSize: served.vocabSize,
        templateSuffixLength: served.templateSuffixLength,
      },
      provenance: {
        model: provenance.model,
        weightsSha256: provenance.weightsSha256,
        adapterSha256: provenance.adapterSha256,
        tokenizerSha256: provenance.tokenizerSha256,
        chatTemplateSha256: provenance.chatTemplateSha256,
        computeDtype: provenance.computeDtype,
        device: provenance.device,
        saeSha256: shaByLayer(facts),
        versions: { ...provenance.versions, refusalscope: projectVersion, node: process.versions.node },
      },
      saes: facts,
      layers,
      instructionStarts: await findInstructionStarts(context, maxPrompts),
      maxPrompts,
    };
  },
  summarize: ({ model, layers }) =>
    `${model.name} (${model.architecture}, ${model.nLayers} layers, width ${model.dModel}); layers searched: ${layers.join(', ')}`,
};

/** The paper searches every layer. */
const chooseLayers = (
  asked: readonly number[],
  loaded: readonly number[],
  nLayers: number,
  every: boolean,
): number[] => {
  const missing = asked.filter((layer) => !loaded.includes(layer));
  if (missing.length > 0) {
    throw fault(
      'SAE_UNKNOWN',
      `No SAE is loaded for layer ${missing.join(', ')}. SAEs are loaded for layers ${[...loaded].sort((a, b) => a - b).join(', ')}.`,
    );
  }
  const chosen = asked.length > 0 ? [...asked] : loaded.filter((layer) => every || layer < SEARCHED_DEPTH * nLayers);
  if (chosen.length === 0) {
    throw fault('AUDIT_IMPOSSIBLE', `No SAE is loaded for a layer below ${SEARCHED_DEPTH} of ${nLayers} layers.`);
  }
  return chosen.sort((a, b) => a - b);
};

const assertWidth = (layer: number, dIn: number, dModel: number): void => {
  if (dIn !== dModel) {
    throw fault('SHAPE_MISMATCH', `The SAE of layer ${layer} reads ${dIn} values; the model's residual has ${dModel}.`);
  }
};

const shaByLayer = (saes: readonly SaeFacts[]): Record<string, string> =>
  Object.fromEntries(saes.map((sae) => [String(sae.layer), sae.sha256]));

/** Tokenizing every prompt now finds one that is too long before the first evaluation. */
const findInstructionStarts = async ({ spec, peers, signal }: StageContext, maxPrompts: number): Promise<number[]> => {
  const starts: number[] = [];
  for (let i = 0; i < spec.prompts.length; i += maxPrompts) {
    const prompts = spec.prompts.slice(i, i + maxPrompts).map(encodePrompt);
    const tokenized = await peers.inference.tokenize({ model: spec.model, prompts }, { signal });
    starts.push(...tokenized.prompts.map((prompt) => prompt.instructionStart));
  }
  return starts;
};
