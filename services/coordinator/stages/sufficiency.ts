/**
 * Stage "sufficiency": the other half of a causal claim. With all candidates off, does a prompt's set alone bring refusal back; written into
 * harmless prompts, does it cause one? Random sets of the same size stand beside it.
 */
import type { SufficiencyReport } from '../../../proto/gen/refusalscope/v1/search.js';
import { encodePositions } from '../../../shared/tensors/positions.js';
import { decodeSufficiency } from '../peers/claims-from-wire.js';
import { drainCall } from '../peers/drain-call.js';
import { present } from '../peers/from-wire.js';
import { encodeFeatures, encodePrompt, encodeScore } from '../peers/to-wire.js';
import type { Count, SufficiencyArmFacts, SufficiencyCounts } from '../report/report-type.js';
import { chooseCases, chooseHarmless, createCandidateRanks } from './claim-cases.js';
import { derivedSeed } from './derived-seed.js';
import type { Stage } from './stage.js';

export const sufficiencyStage: Stage<'sufficiency'> = {
  name: 'sufficiency',
  async run(context, earlier) {
    const { spec, peers } = context;
    const { settings, prompts, byId, examined } = chooseCases(spec, earlier);
    const candidatesAt = createCandidateRanks(context, earlier);
    const request = {
      model: spec.model,
      score: encodeScore(earlier.openers.score),
      positions: encodePositions(spec.positions),
      harmless: chooseHarmless(spec, earlier).taken.map(encodePrompt),
      draws: settings.sufficiencyDraws,
    };
    const tested = await context.forEachPrompt(prompts, async (prompt, call) => {
      const { set, features } = present(byId.get(prompt.id), 'a prompt with its set');
      const near = (await candidatesAt(set.candidatesPerLayer)).features;
      const own = {
        ...request,
        prompt: encodePrompt(prompt),
        set: encodeFeatures(features),
        candidates: encodeFeatures(near.map(({ feature }) => feature)),
        seed: derivedSeed(spec.seed, `sufficiency/${prompt.id}`),
      };
      const found = await drainCall<SufficiencyReport>(call, (known, options) =>
        peers.search.testSufficiency({ ...own, known }, options),
      );
      return decodeSufficiency(found, prompt.id);
    });
    return {
      examined,
      sets: countArms(tested.map(({ set }) => set)),
      random: countArms(tested.flatMap(({ random }) => random)),
      prompts: tested,
    };
  },
  summarize: ({ sets, random }) => {
    const rate = ({ count, of }: Count) => `${count} of ${of}`;
    return (
      `refused with everything off but the set: ${rate(sets.leftOn)} (random sets ${rate(random.leftOn)}); set put back: ` +
      `${rate(sets.putBack)} (${rate(random.putBack)}); written into harmless prompts: ${rate(sets.harmlessRefused)} (${rate(random.harmlessRefused)})`
    );
  },
};

export const countArms = (arms: readonly SufficiencyArmFacts[]): SufficiencyCounts => {
  const above = (pick: (arm: SufficiencyArmFacts) => number): Count => ({
    count: arms.filter((arm) => pick(arm) > 0).length,
    of: arms.length,
  });
  const harmless = (part: keyof Count) => arms.reduce((total, arm) => total + arm.harmlessRefused[part], 0);
  return {
    leftOn: above(({ leftOnScore }) => leftOnScore),
    putBack: above(({ putBackScore }) => putBackScore),
    harmlessRefused: { count: harmless('count'), of: harmless('of') },
  };
};
