import { describe, expect, it } from 'vitest';
import { choiceText } from '../../../services/console/report/sections/interactions.js';
import type { FitFacts } from '../../../services/coordinator/report/report-type.js';
import { sampleReport } from './sample-report.js';

const fit = sampleReport().interactions.masks!;

describe('the sentence that says which model won', () => {
  it('names the winner with its numbers', () => {
    const won: FitFacts = {
      ...fit,
      chosen: 'allPairs',
      pairsFrom: 'allPairs',
      allPairs: { ...fit.linear, r2: 0.937, validationLoss: 0.071 },
    };
    expect(choiceText(won)).toBe(
      'On the masks the lasso on all pairs (validation loss 0.071, held-out R² 0.937) won; these pairs are its.',
    );
  });

  it('does not let pairs stand as found where the linear model won', () => {
    const text = choiceText({ ...fit, chosen: 'linear', pairsFrom: 'boostedTrees' });
    expect(text).toMatch(
      /^On the masks the linear model \(.*\) won: they do not show that any features act together\./,
    );
    expect(text).toMatch(/those of the best model that has pairs, the boosted trees read as pairs/);
  });

  it('says so where nothing was fitted', () => {
    expect(choiceText(null)).toBe('No model could be fitted to the masks.');
  });
});
