/** Owns how the report's counts are written: always with their denominator. */
import type { ControlArmName, Count } from '../../coordinator/report/report-type.js';
import { countText, percentText, shareText } from '../text/number-text.js';
import { wilsonInterval } from './wilson-interval.js';

export const rateText = ({ count, of }: Count): string => shareText(count, of);

/** "12 of 16", where a chart beside it has the share: many columns with it could not be read. */
export const plainRate = ({ count, of }: Count): string => `${countText(count)} of ${countText(of)}`;

/** "14 of 16 (88 %; 95 % interval 64 to 97 %)". */
export function rateWithInterval({ count, of }: Count): string {
  const interval = wilsonInterval(count, of);
  if (!interval) return shareText(count, of);
  const bare = percentText(interval.low).replace('\u00a0%', '');
  return `${count} of ${of} (${percentText(count / of)}; 95\u00a0% interval ${bare} to ${percentText(interval.high)})`;
}

export const shareOf = ({ count, of }: Count): number => (of > 0 ? count / of : Number.NaN);

export const CONTROL_NAMES: Readonly<Record<ControlArmName, string>> = {
  randomFeatures: 'Random features',
  randomActiveFeatures: 'Random active features',
  randomDirections: 'Random directions, same norm',
  directionAblation: 'Direction ablated everywhere',
};
