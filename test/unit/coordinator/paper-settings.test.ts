import { describe, expect, it } from 'vitest';
import { PaperSettings } from '../../../proto/gen/refusalscope/v1/coordinator.js';
import { decodePaperSettings } from '../../../services/coordinator/audit/paper-settings.js';
import { describeDeactivation } from '../../../services/coordinator/stages/paper/measure-deactivation.js';
import { countsWithin } from '../../../services/coordinator/stages/paper/paper.js';
import { machineImportance, standardDeviations } from '../../../services/coordinator/stages/paper/rank-stage-three.js';

describe("Settings of the paper's stages", () => {
  it('are the published ones where nothing is given', () => {
    expect(decodePaperSettings(PaperSettings.fromPartial({}))).toEqual({
      blockSize: 5,
      seeds: 3,
      threshold: 0.1,
      thresholds: [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8],
      fmRank: 20,
      fmLearningRate: 1e-3,
      fmEpochs: 20,
      topFeatures: [100, 500, 1000, 2000],
      plainTexts: [],
    });
  });

  it.each([
    [{ threshold: 1.5 }, 'threshold 1.5 is not above 0 and at most 1: it is a change of a probability.'],
    [{ thresholds: [0.3, 0.2] }, 'paper.thresholds must be ascending without repeats; 0.2 follows 0.3.'],
    [{ topFeatures: [5000] }, 'paper.top_features holds 5000; at most 2000 is taken.'],
    [{ plainTexts: [' '] }, 'paper.plain_texts[0] has 1 bytes; 1 to 65536 are taken.'],
    [{ seeds: 65 }, 'paper.seeds is 65; it must be a whole number between 1 and 64.'],
  ])('outside their ranges are refused by name: %j', (change, message) => {
    expect(() => decodePaperSettings(PaperSettings.fromPartial(change))).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID', message }),
    );
  });
});

describe('Stage 3', () => {
  it('takes all candidates once where there are fewer than asked for', () => {
    expect(countsWithin([100, 500, 1000], 320)).toEqual([100, 320]);
    expect(countsWithin([100, 500], 40)).toEqual([40]);
  });

  it('ranks a feature by its weight and its pairs, in standard deviations', () => {
    const spreads = standardDeviations(Float32Array.of(0, 1, 0, 2, 1, 0, 4, 1, 0), 3);
    expect([...spreads]).toEqual([expect.closeTo(Math.sqrt(8 / 3)), 0, 0]);
    // Two features with a pair of strength 3 * 0.5, and a third that never moves.
    const importance = machineImportance([0.5, -2, 9], Float32Array.of(3, 0.5, 7), 1, Float64Array.of(2, 1, 0));
    expect(importance).toEqual([2 * (0.5 + 1.5), 2 + 2 * 1.5, 0]);
  });

  it('counts a member as silenced only if it was on', () => {
    const on = { clean: 2, edited: 1 };
    const silenced = { clean: 4, edited: 0 };
    const asleep = { clean: 0, edited: 0 };
    expect(describeDeactivation(3, [[on, silenced, asleep], [asleep], [silenced]])).toEqual({
      features: 3,
      prompts: 2,
      silenced: { count: 2, of: 3 },
      largestShare: 1,
      meanDrop: (0.5 + 1 + 1) / 3,
    });
    expect(describeDeactivation(3, [[asleep]])).toBeNull();
  });
});
