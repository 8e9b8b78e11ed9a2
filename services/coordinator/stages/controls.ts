/** Stage "controls": the same test with what should do nothing, in the place of each minimal set: how often does that flip? */
import type { Controls } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { drainCall } from '../peers/drain-call.js';
import { decodeControlArm, present } from '../peers/from-wire.js';
import { encodeDirection, encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { ControlArmFacts } from '../report/report-type.js';
import { addArms } from './add-arms.js';
import { derivedSeed } from './derived-seed.js';
import { type PromptWithSet, promptsWithSets } from './search-prompts.js';
import type { Stage } from './stage.js';

type Arms = Record<
  'randomFeatures' | 'randomActiveFeatures' | 'randomDirections' | 'directionAblation',
  ControlArmFacts | null
>;

export const controlsStage: Stage<'controls'> = {
  name: 'controls',
  async run(context, earlier) {
    const { spec, peers } = context;
    const cases = promptsWithSets(spec, earlier);
    const byId = new Map(cases.map((one) => [one.prompt.id, one]));
    const { selected } = earlier.directions;
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      positions: encodePositions(spec.positions),
      draws: spec.controlDraws,
      layers: [...earlier.describe.layers],
      ...(selected !== null && { direction: encodeDirection(selected) }),
    };
    const parts = await context.forEachPrompt(
      cases.map((one) => one.prompt),
      async (prompt, call) => {
        const { features, setScore } = present(byId.get(prompt.id), 'a prompt with its set');
        const flip = { prompt: encodePrompt(prompt), set: encodeFeatures(features), score: setScore };
        const seed = derivedSeed(spec.seed, `controls/${prompt.id}`);
        const controls = await drainCall<Controls>(call, (known, options) =>
          peers.search.runControls({ ...request, cases: [flip], seed, known }, options),
        );
        return decodeArms(controls);
      },
    );
    const combine = (name: keyof Arms) => addArms(parts.map((part) => part[name]));
    return {
      minimalSets: minimalSetArm(cases),
      randomFeatures: combine('randomFeatures'),
      randomActiveFeatures: combine('randomActiveFeatures'),
      randomDirections: combine('randomDirections'),
      directionAblation: combine('directionAblation'),
    };
  },
  summarize: ({ minimalSets, randomFeatures, randomActiveFeatures, randomDirections }) => {
    const rate = (arm: ControlArmFacts | null) => (arm === null ? 'none' : `${arm.flips.count} of ${arm.flips.of}`);
    return (
      `flips: minimal sets ${rate(minimalSets)}, random features ${rate(randomFeatures)}, ` +
      `random active features ${rate(randomActiveFeatures)}, random directions ${rate(randomDirections)}`
    );
  },
};

const decodeArms = (controls: Controls): Arms => {
  const arm = (value: Controls['randomFeatures']) => (value === undefined ? null : decodeControlArm(value));
  return {
    randomFeatures: arm(controls.randomFeatures),
    randomActiveFeatures: arm(controls.randomActiveFeatures),
    randomDirections: arm(controls.randomDirections),
    directionAblation: arm(controls.directionAblation),
  };
};

const minimalSetArm = (cases: readonly PromptWithSet[]): ControlArmFacts => {
  const change = cases.reduce((total, { set, setScore }) => total + setScore - set.cleanScore, 0);
  return {
    flips: { count: cases.filter(({ setScore }) => setScore < 0).length, of: cases.length },
    meanScoreChange: cases.length === 0 ? 0 : change / cases.length,
    didNotAct: cases.filter(({ set }) => set.proof.length === 0).length,
  };
};
