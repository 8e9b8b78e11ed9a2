/**
 * Results of arXiv 2509.09708 that the report's page sets beside the measured ones. None was read off the paper by us: "noted" values
 * come from one careful public note on version 1 that others were checked against; "disputed" ones stand differently in different notes.
 */
export interface PublishedResult {
  readonly llama: string;
  readonly gemma: string;
  readonly source: 'noted' | 'disputed';
}

export const PUBLISHED_SOURCE =
  'Second hand: public notes on arXiv 2509.09708 v1. Disputed: the notes do not agree, or its table cannot be told from them.';

export const PUBLISHED_RESULTS = {
  prompts: { llama: '861 pooled harmful prompts that are refused', gemma: 'the same', source: 'disputed' },
  layers: { llama: '16', gemma: '13', source: 'noted' },
  perLayer: { llama: '10', gemma: 'up to 200', source: 'noted' },
  allOff: { llama: '372', gemma: '103', source: 'disputed' },
  setFeatures: { llama: '110', gemma: '2,538', source: 'noted' },
  dormantYetNeeded: { llama: '77', gemma: '1,656', source: 'noted' },
  stageThree: { llama: '330 of 372', gemma: '8 of 103', source: 'disputed' },
  linear: { llama: '101', gemma: '–', source: 'noted' },
  randomFeatures: { llama: '0', gemma: '5', source: 'noted' },
  accuracy: { llama: '98 %', gemma: '98 %', source: 'noted' },
  silenced: { llama: 'about 12 % (at most 44 %)', gemma: 'about 3 %', source: 'noted' },
  drop: { llama: 'about 81 %', gemma: 'none', source: 'noted' },
  template: { llama: '74 % on system tokens', gemma: '–', source: 'noted' },
  bos: { llama: 'about 97 % of those on system tokens', gemma: '16 %', source: 'noted' },
  alpaca: { llama: '1.79 to 2.17', gemma: '1.88 to 1.83', source: 'noted' },
  plain: { llama: '2.46 to 3.35 (Pile)', gemma: '3.40 to 3.55 (Pile)', source: 'noted' },
} as const satisfies Record<string, PublishedResult>;

export type PublishedName = keyof typeof PUBLISHED_RESULTS;
