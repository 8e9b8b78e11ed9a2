/** A sound request, or several, for each RPC: small enough that one takes milliseconds, and with every field in use somewhere. */
import { FitMode, MaskDesign } from '../../../proto/gen/refusalscope/v1/fm.js';
import type { EditBank } from '../../../proto/gen/refusalscope/v1/types.js';
import { encodeRow } from '../../../shared/tensors/matrix.js';
import type { FuzzedMesh } from './rpc-mesh.js';

/** Plain data in the form that `fromPartial` takes. */
type Request = Readonly<Record<string, unknown>>;
export type RpcSeeds = Readonly<Record<string, Readonly<Record<string, readonly Request[]>>>>;

const POSITIONS = { span: 2, start: 0, end: 0, includeBos: false };
const SCORE = { openers: [{ ids: [4, 5] }, { ids: [6] }], firstTokenIds: [4, 6], iTokenId: 4 };
const MASK = { bits: Buffer.of(1) };

export const buildRpcSeeds = ({ planted }: FuzzedMesh, bank: EditBank, width: number): RpcSeeds => {
  const prompts = planted.prompts.slice(0, 2).map(({ id, text }) => ({ id, input: { $case: 'text', value: text } }));
  const tokens = { id: 't', input: { $case: 'tokenIds', value: { ids: [1, 5, 6, 7, 8] } }, instructionStart: 1 };
  const labelled = planted.prompts.map(({ id, text, label }) => ({
    prompt: { id, input: { $case: 'text', value: text } },
    label: label === 'harmful' ? 1 : 2,
    category: 'c',
  }));
  const [prompt] = prompts;
  const feature = planted.places.get('refuse')!;
  const other = planted.places.get('bystander')!;
  const vector = encodeRow(Float32Array.from({ length: width }, (_, i) => Math.cos(i)));
  const direction = { layer: feature.layer, position: -1, vector, rawNorm: 2 };
  const inline = { bank: { $case: 'inline', value: bank } };
  const known = [{ key: Buffer.alloc(32, 7), refusalScore: 1, firstTokenScore: 1, pI: 0.5, acted: true, proof: [] }];
  const common = { model: 'planted', score: SCORE, positions: POSITIONS, known };
  const cases = [{ prompt, set: [feature], score: 1 }];
  const residual = { ...vector, rows: 1 };
  return {
    inference: {
      DescribeModel: [{ model: 'planted' }],
      Tokenize: [{ prompts, pieces: ['I cannot', ' sorry'] }],
      CaptureResiduals: [{ prompts, layers: [1, 3], positions: [-1, 2], bank: inline, mask: MASK }],
      EvaluateMasks: [
        {
          prompts: [...prompts, tokens],
          bank: inline,
          score: SCORE,
          evaluations: [
            { promptIndex: 0, mask: MASK },
            { promptIndex: 2, mask: MASK },
          ],
          firstTokenKl: true,
        },
      ],
      Generate: [{ prompts, bank: inline, masks: [MASK, MASK], maxNewTokens: 3 }],
      MeasureCrossEntropy: [
        { prompts, continuations: [{ ids: [4, 5] }, { ids: [6] }], bank: inline, masks: [MASK, MASK] },
      ],
    },
    sae: {
      ListSaes: [{}],
      Encode: [{ layer: feature.layer, residual, features: [feature.index, 0] }],
      FindNearestFeatures: [{ layer: feature.layer, vector, count: 3 }],
      GetEditRows: [{ features: [feature, other], target: 0.5, positions: POSITIONS }],
      AdmitSae: [{ layer: feature.layer, residual }],
    },
    fm: {
      Fit: [
        {
          mode: FitMode.FIT_MODE_MASKS,
          ...fitData(24, 4, false),
          options: { rank: 2, epochs: 3, seed: 5, l2Pairwise: 0.1, topInteractions: 3 },
        },
        {
          mode: FitMode.FIT_MODE_ACTIVATIONS,
          ...fitData(24, 4, true),
          options: { rank: 2, epochs: 2, learningRate: 0.01, testShare: 0.2 },
        },
      ],
      DesignMasks: [
        { features: 9, count: 6, design: MaskDesign.MASK_DESIGN_UNIFORM, seed: 3 },
        { features: 4, count: 5, design: MaskDesign.MASK_DESIGN_STRATIFIED, seed: 3 },
      ],
    },
    search: {
      CalibrateOpeners: [{ model: 'planted', prompts: labelled, maxDepth: 1 }],
      FindDirections: [{ ...common, prompts: labelled, positions: [-1], heldOutPerLabel: 1, seed: 4 }],
      RankCandidates: [{ directions: [direction], countPerLayer: 3 }],
      ProfileDepth: [{ ...common, prompts, candidates: [feature, other] }],
      FilterPrompt: [
        { ...common, prompt, directions: [direction], growth: [1, 2], method: 1, seed: 3 },
        {
          ...common,
          prompt,
          directions: [direction],
          growth: [1],
          method: 3,
          blockSize: 1,
          threshold: 0.2,
          seeds: 2,
          seed: 3,
        },
      ],
      FindDormant: [
        { ...common, prompt, set: [feature], candidates: [other], layers: [2], minEffect: 0.1, maxTested: 3 },
      ],
      SampleMasks: [{ ...common, prompts, features: [feature, other], masks: [{ bits: Buffer.of(2) }], paired: true }],
      MeasureInteractions: [{ ...common, prompt, pairs: [{ first: feature, second: other }], context: [] }],
      VerifyFlips: [{ model: 'planted', cases, positions: POSITIONS, maxNewTokens: 2 }],
      RunControls: [{ ...common, cases, draws: 1, seed: 2, layers: [3], direction }],
      EnumerateMinimalSets: [
        { ...common, prompt, candidates: [{ feature, cosine: 0.5 }], maxEvaluations: 20, maxSets: 2 },
      ],
      TraceHydra: [
        {
          ...common,
          cases,
          candidates: [other],
          layers: [2],
          minEffect: 0.5,
          level: 0.05,
          maxTested: 2,
          maxRounds: 1,
          nullDraws: 1,
          seed: 1,
        },
        {
          ...common,
          cases: cases.map((one) => ({ ...one, set: [] })),
          strongest: { count: 1, among: [{ feature, cosine: 0.5 }] },
          layers: [2],
          maxTested: 2,
          maxRounds: 1,
          nullDraws: 1,
          seed: 1,
        },
      ],
      TestSufficiency: [
        { ...common, prompt, set: [feature], candidates: [other], harmless: [prompts[1]], draws: 1, seed: 1 },
      ],
      RankFeatures: [
        { model: 'planted', prompts: labelled.slice(0, 4), directions: [direction], positions: POSITIONS, count: 3 },
      ],
      MeasureRankings: [
        {
          ...common,
          prompts,
          rankings: [{ name: 'r', features: [feature, other] }],
          counts: [1, 2],
          randomLayers: [feature.layer],
          seed: 2,
          direction,
        },
      ],
      MeasureCost: [{ ...common, prompts, sets: [{ name: 's', features: [feature] }], answerTokens: 2 }],
    },
    coordinator: {
      CreateAudit: [
        {
          spec: {
            model: 'planted',
            prompts: labelled,
            layers: [3],
            growth: [1],
            fmMasks: 8,
            fmFeatures: 2,
            seed: 1,
            maxNewTokens: 2,
            positions: POSITIONS,
            claims: { prompts: 1, familyEvaluations: 5, familySets: 2, hydraLevel: 0.1 },
            skipStages: ['cost'],
            overRefusal: true,
            title: 'fuzz',
            paper: { blockSize: 1, seeds: 1, threshold: 0.2, thresholds: [0.1], fmRank: 2 },
          },
          requestId: 'r',
        },
      ],
      GetAudit: [{ id: 'none' }],
      ListAudits: [{ pageSize: 3, pageToken: '' }],
      WatchAudit: [{ id: 'none', afterSequence: 0 }],
      CancelAudit: [{ id: 'none' }],
      ResumeAudit: [{ id: 'none' }],
      GetReport: [
        { id: 'none', format: 1 },
        { id: 'none', format: 2 },
      ],
      CompareAudits: [{ beforeId: 'none', afterId: 'other' }],
    },
  };
};

const fitData = (rows: number, cols: number, labels: boolean) => {
  const data = Float32Array.from({ length: rows * cols }, (_, i) => (i * 7 + (i >> 2)) % 2);
  return {
    design: { rows, cols, data: Buffer.from(data.buffer) },
    targets: Array.from({ length: rows }, (_, row) => (labels ? row % 2 : row % 5)),
    groups: Array.from({ length: rows }, (_, row) => row % 6),
    names: ['a', 'b', 'c', 'd'],
  };
};
