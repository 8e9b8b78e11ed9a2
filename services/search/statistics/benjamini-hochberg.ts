/**
 * Benjamini and Hochberg (1995): adjusted p-values. Taking those of at most q keeps the expected share of false ones among the taken at
 * or below q, where the tests are independent or positively dependent.
 */
export function adjustPValues(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[b]! - pValues[a]!);
  const adjusted = new Array<number>(pValues.length);
  let least = 1;
  for (const [place, i] of order.entries()) {
    const rank = pValues.length - place;
    least = Math.min(least, (pValues[i]! * pValues.length) / rank);
    adjusted[i] = least;
  }
  return adjusted;
}
