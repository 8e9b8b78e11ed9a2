/**
 * Owns how a number is written for people: a true minus sign, a fixed number of digits, a dash for what was not measured.
 * Prevents "NaN", "undefined" or a rate without its denominator from standing in a report.
 */

/** Stands where nothing was measured. */
export const NOT_MEASURED = '–';

type MaybeNumber = number | null | undefined;

const isMeasured = (value: MaybeNumber): value is number => typeof value === 'number' && Number.isFinite(value);

/** A decimal with `digits` places; -0 is written as 0. */
export function numberText(value: MaybeNumber, digits = 2): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  const fixed = Math.abs(value).toFixed(digits);
  return value < 0 && Number(fixed) !== 0 ? `\u2212${fixed}` : fixed;
}

/** As numberText, with a plus sign for what is above zero: for changes. */
export function changeText(value: MaybeNumber, digits = 2): string {
  const text = numberText(value, digits);
  return isMeasured(value) && Number(value.toFixed(digits)) > 0 ? `+${text}` : text;
}

/** An integer with thin spaces between thousands. */
export function countText(value: MaybeNumber): string {
  if (!isMeasured(value)) return NOT_MEASURED;
  return numberText(value, 0).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A share in [0, 1] as a percentage without decimals; never 0 % or 100 % for what is not exactly that. */
export function percentText(share: MaybeNumber): string {
  if (!isMeasured(share)) return NOT_MEASURED;
  const percent = share * 100;
  if (percent > 0 && percent < 1) return '<1\u00a0%';
  if (percent < 100 && percent > 99) return '>99\u00a0%';
  return `${numberText(percent, 0)}\u00a0%`;
}

/** "12 of 16 (75 %)"; with nothing counted, "0 of 0" and no rate. */
export function shareText(count: MaybeNumber, total: MaybeNumber): string {
  if (!isMeasured(count) || !isMeasured(total)) return NOT_MEASURED;
  const counts = `${countText(count)} of ${countText(total)}`;
  return total > 0 ? `${counts} (${percentText(count / total)})` : counts;
}

/** Seconds as "8.2 s", "3 min 05 s" or "2 h 04 min". */
export function durationText(seconds: MaybeNumber): string {
  if (!isMeasured(seconds)) return NOT_MEASURED;
  if (seconds < 60) return `${numberText(seconds, 1)} s`;
  const whole = Math.round(seconds);
  const two = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

/** "1 feature", "2 features". */
export const pluralText = (count: number, one: string, many = `${one}s`): string =>
  `${countText(count)} ${count === 1 ? one : many}`;
