/**
 * Stage "paper", only with the paper's settings: what its tables hold and no other stage measures. The sweep of thresholds, stage 3 on the
 * activations of all candidates beside a linear probe, its first features off, and what that does to stage 2 and to plain text.
 */
import { fault, isFault } from '../../../../shared/errors/fault.js';
import type { PaperSettings } from '../../audit/paper-settings.js';
import type { PaperFacts, StageThree } from '../../report/paper-facts.js';
import { measureRankings } from '../alternatives/measure-rankings.js';
import { directionsOf, rankCandidates } from '../candidates.js';
import { searchPrompts } from '../search-prompts.js';
import type { Stage, StageContext } from '../stage.js';
import type { StageResults } from '../stage-results.js';
import { measureDeactivation } from './measure-deactivation.js';
import { measurePlainText } from './measure-plain-text.js';
import { rankStageThree } from './rank-stage-three.js';
import { sweepThresholds } from './sweep-thresholds.js';

export const paperStage: Stage<'paper'> = {
  name: 'paper',
  async run(context, earlier) {
    const settings = context.spec.paper;
    if (settings === undefined) throw fault('INTERNAL', 'The stage "paper" was run without the settings of the paper.');
    const sweep = await sweepThresholds(context, earlier, settings);
    const { sets } = earlier.filter;
    const perLayer = Math.max(1, ...sets.map(({ candidatesPerLayer }) => candidatesPerLayer));
    const directions = directionsOf(earlier, earlier.describe.layers);
    const candidates = await rankCandidates(context, directions, perLayer);
    const features = candidates.features.map(({ feature }) => feature);
    const { blockSize, seeds, threshold, fmRank, fmLearningRate, fmEpochs } = settings;
    return {
      settings: { blockSize, seeds, threshold, fmRank, fmLearningRate, fmEpochs },
      sweep,
      ...countEarlier(earlier, features.length),
      stageThree: await runStageThree(context, earlier, features, settings),
    };
  },
  summarize: ({ jailbreaks, stageThree }) => {
    const { allOff, setByScore } = jailbreaks;
    const last = stageThree?.ablations.at(-1);
    const three =
      last === undefined ? 'none' : `${last.fmFlips.count} of ${last.fmFlips.of} (${last.features} features)`;
    return `flips: all candidates ${allOff.count} of ${allOff.of}, stage 2 ${setByScore.count} of ${setByScore.of}, stage 3 ${three}`;
  },
};

/** What the tables take from the stages before. */
export const countEarlier = (
  { filter: { sets }, verify, dormant }: Pick<StageResults, 'filter' | 'verify' | 'dormant'>,
  candidates: number,
): Pick<PaperFacts, 'jailbreaks' | 'features' | 'wakeUps'> => {
  const flips = sets.filter(({ outcome, setScore }) => outcome === 'found' && setScore !== null && setScore < 0);
  const members = sets.flatMap((set) => set.members.map((member) => ({ ...member, flips: (set.setScore ?? 0) < 0 })));
  const needed = members.filter(({ flips, cleanActivation, restoredScore }) => {
    return flips && cleanActivation === 0 && restoredScore > 0;
  });
  const kinds = dormant.prompts.flatMap(({ woken }) => woken.map(({ positionKind }) => positionKind));
  const countKind = (kind: string) => kinds.filter((one) => one === kind).length;
  return {
    jailbreaks: {
      allOff: { count: sets.filter(({ allOffScore }) => allOffScore < 0).length, of: sets.length },
      setByScore: { count: flips.length, of: sets.length },
      setByText: { count: verify.complied + verify.partial, of: verify.complied + verify.partial + verify.refused },
    },
    features: {
      candidates,
      inSets: new Set(members.map(({ feature }) => feature)).size,
      dormantYetNeeded: new Set(needed.map(({ feature }) => feature)).size,
    },
    wakeUps: { bos: countKind('bos'), template: countKind('template'), content: countKind('content') },
  };
};

/** The counts that there are enough candidates for; all candidates in place of the first one that there are not. */
export const countsWithin = (counts: readonly number[], available: number): number[] => [
  ...new Set(counts.map((count) => Math.min(count, available))),
];

const runStageThree = async (
  context: StageContext,
  earlier: StageResults,
  features: readonly string[],
  settings: PaperSettings,
): Promise<StageThree | null> => {
  try {
    const ranked = await rankStageThree(context, earlier, features, settings);
    const counts = countsWithin(settings.topFeatures, features.length);
    const top = ranked.byMachine.slice(0, counts.at(-1));
    const rankings = [
      { name: 'machine', features: top },
      { name: 'linear', features: ranked.byLinear.slice(0, counts.at(-1)) },
    ];
    const prompts = searchPrompts(context.spec, earlier);
    const measured = await measureRankings(context, earlier, prompts, { rankings, counts }, 'stage-3');
    const [fm = [], linear = []] = measured.rankings.map((points) => points.map(({ flips }) => flips));
    const { rows, testRows, fmAccuracy, linearAccuracy } = ranked;
    return {
      rows,
      testRows,
      fmAccuracy,
      linearAccuracy,
      topFeatures: top,
      ablations: counts.map((count, i) => ({ features: count, fmFlips: fm[i]!, linearFlips: linear[i]! })),
      // The fewest features: with many off, hardly a member of stage 2 is left to look at.
      deactivation: await measureDeactivation(context, earlier, top.slice(0, counts[0])),
      crossEntropy: await measurePlainText(context, top, counts),
    };
  } catch (thrown) {
    if (!isFault(thrown, 'REQUEST_INVALID') && !isFault(thrown, 'AUDIT_IMPOSSIBLE')) throw thrown;
    context.warn('PAPER_STAGE_3', thrown.message);
    return null;
  }
};
