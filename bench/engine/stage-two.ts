/** Evaluations that stage 2 asks for: the default group testing against plain greedy, through the real services. */
import { join } from 'node:path';
import { FilterMethod, type MinimalSet, SearchServiceDefinition } from '../../proto/gen/refusalscope/v1/search.js';
import { startInferenceService } from '../../services/inference/start.js';
import { startSaeService } from '../../services/sae/start.js';
import { startSearchService } from '../../services/search/start.js';
import { projectRoot } from '../../shared/project/root.js';
import { connect } from '../../shared/rpc/connect.js';
import { openSafetensors } from '../../shared/tensor-files/safetensors.js';
import { encodeRow } from '../../shared/tensors/matrix.js';
import { encodePositions, INSTRUCTION_POSITIONS } from '../../shared/tensors/positions.js';
import { THREADS } from './contestants.js';
import { adapterFolder, golden, saeFolder, type WorkPrompt } from './workload.js';

export interface StageTwoShare {
  readonly share: number;
  readonly prompts: number;
  readonly group_evaluations: number;
  readonly greedy_evaluations: number;
  readonly group_sizes: readonly number[];
  readonly greedy_sizes: readonly number[];
}

export async function measureStageTwo(
  modelPath: string,
  prompts: readonly WorkPrompt[],
  candidates: number,
): Promise<StageTwoShare> {
  const inference = await startInferenceService({
    modelPath,
    adapterPath: adapterFolder,
    modelName: 'embedded',
    listen: '127.0.0.1:0',
    threads: THREADS,
    cacheBytes: 384 << 20,
  });
  const sae = await startSaeService({ saeDirs: [saeFolder], listen: '127.0.0.1:0' });
  const search = await startSearchService({
    inferenceAddress: inference.address,
    saeAddress: sae.address,
    listen: '127.0.0.1:0',
  });
  const { client, close } = connect(SearchServiceDefinition, search.address);
  const filter = async (prompt: WorkPrompt, method: FilterMethod): Promise<MinimalSet> => {
    const request = {
      prompt: {
        id: prompt.id,
        input: { $case: 'tokenIds' as const, value: { ids: [...prompt.token_ids] } },
        instructionStart: 24,
      },
      score: {
        openers: golden.openers.map(({ token_ids }) => ({ ids: [...token_ids] })),
        firstTokenIds: [...golden.refusal_tokens],
        iTokenId: golden.I_token,
      },
      directions: goldenDirections(),
      growth: [candidates],
      positions: encodePositions(INSTRUCTION_POSITIONS),
      method,
    };
    for await (const { event } of client.filterPrompt(request)) if (event?.$case === 'result') return event.value;
    throw new Error('the search ended without a result');
  };
  const group: MinimalSet[] = [];
  const greedy: MinimalSet[] = [];
  for (const prompt of prompts) {
    group.push(await filter(prompt, FilterMethod.FILTER_METHOD_GROUP));
    greedy.push(await filter(prompt, FilterMethod.FILTER_METHOD_GREEDY));
  }
  close();
  for (const service of [search, sae, inference]) await service.stop();
  const total = (sets: readonly MinimalSet[]) => sets.reduce((sum, { evaluations }) => sum + evaluations, 0);
  return {
    share: total(group) / total(greedy),
    prompts: prompts.length,
    group_evaluations: total(group),
    greedy_evaluations: total(greedy),
    group_sizes: group.map(({ members }) => members.length),
    greedy_sizes: greedy.map(({ members }) => members.length),
  };
}

function goldenDirections() {
  const file = openSafetensors(join(projectRoot, 'test/fixtures/golden/directions.safetensors'));
  const directions = golden.sae_layers.map((layer) => ({
    layer,
    position: -1,
    vector: encodeRow(file.readFloat32(`direction.${layer}`)),
    rawNorm: 1,
  }));
  file.close();
  return directions;
}
