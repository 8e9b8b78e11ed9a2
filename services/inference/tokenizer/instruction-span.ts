/**
 * Which tokens of a chat prompt are the user's own. "From the instruction on" is a position of edits, so one template token
 * more or less changes every score that follows.
 *
 * The template's part is found by rendering the same chat with two probe texts: the tokens that both have at the front and at the back.
 */

/** Two texts that share no first or last character, and of which no part can merge with a template alike. */
export const PROBES = ['Zebra', '42 apples'] as const;

export interface TemplateFrame {
  /** Tokens of the first probe's rendering. */
  readonly probeIds: readonly number[];
  /** Tokens at the front and at the back that are the template's. */
  readonly frontTokens: number;
  readonly backTokens: number;
}

type Ids = readonly number[];

const sharedFront = (a: Ids, b: Ids): number => {
  let count = 0;
  while (count < a.length && count < b.length && a[count] === b[count]) count++;
  return count;
};

const sharedBack = (a: Ids, b: Ids): number => {
  let count = 0;
  while (count < a.length && count < b.length && a[a.length - 1 - count] === b[b.length - 1 - count]) count++;
  return count;
};

export const measureFrame = (probeIds: Ids, otherProbeIds: Ids): TemplateFrame => ({
  probeIds,
  frontTokens: sharedFront(probeIds, otherProbeIds),
  backTokens: sharedBack(probeIds, otherProbeIds),
});

/**
 * [start, end) of the instruction in `ids`. Where the instruction's first or last character merged with the template's (a line
 * break, say), the merged token counts as instruction. start = end means that the template left nothing of it.
 */
export const findInstruction = (ids: Ids, frame: TemplateFrame): { readonly start: number; readonly end: number } => {
  const start = Math.min(frame.frontTokens, sharedFront(ids, frame.probeIds));
  const back = Math.min(frame.backTokens, sharedBack(ids, frame.probeIds), ids.length - start);
  return { start, end: ids.length - back };
};
