/** Owns cutting a text to a width without cutting a character in half. */

/** At most `most` characters (code points), the last one an ellipsis if something was cut. */
export function shortText(text: string, most: number): string {
  const characters = [...text];
  return characters.length <= most ? text : `${characters.slice(0, Math.max(0, most - 1)).join('')}…`;
}
