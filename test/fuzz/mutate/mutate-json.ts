/**
 * Mutations of JSON values: numbers to limits, texts, types, missing and doubled keys, depth; and then, now and then, of the text itself.
 * Works on a copy; the seed stays as it is.
 */
import type { SeededRandom } from '../../../shared/random/seeded-random.js';
import { chance, EDGE_NUMBERS, EDGE_TEXTS, fewOf, one } from './edge-values.js';
import { mutateBytes } from './mutate-bytes.js';
import { mutateText } from './mutate-text.js';

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

interface Place {
  readonly holder: Json[] | { [key: string]: Json };
  readonly key: string;
}

const placesIn = (value: Json, found: Place[] = []): Place[] => {
  if (typeof value !== 'object' || value === null) return found;
  for (const key of Object.keys(value)) {
    found.push({ holder: value, key });
    placesIn((value as Record<string, Json>)[key]!, found);
  }
  return found;
};

const get = ({ holder, key }: Place): Json => (holder as Record<string, Json>)[key] ?? null;
const set = ({ holder, key }: Place, value: Json): void => {
  (holder as Record<string, Json>)[key] = value;
};

const nested = (random: SeededRandom): Json => {
  let value: Json = 1;
  for (let depth = fewOf(random, 200); depth > 0; depth--) value = chance(random, 0.5) ? [value] : { a: value };
  return value;
};

const edgeValue = (random: SeededRandom): Json => {
  const kind = random.below(10);
  if (kind < 4) return one(random, EDGE_NUMBERS);
  if (kind < 7) return one(random, EDGE_TEXTS);
  return one<() => Json>(random, [() => null, () => true, () => false, () => [], () => ({}), () => nested(random)])();
};

const nearNumber = (random: SeededRandom, value: number): number =>
  one(random, [value + 1, value - 1, -value, value * 2, value / 2, value + 0.5, value * 1e6]);

const near = (random: SeededRandom, value: Json): Json => {
  if (typeof value === 'number') return nearNumber(random, value);
  if (typeof value === 'string') return mutateText(random, value);
  if (typeof value === 'boolean') return !value;
  return edgeValue(random);
};

type JsonChange = (random: SeededRandom, places: readonly Place[]) => void;

const replace: JsonChange = (random, places) => set(one(random, places), edgeValue(random));

const shift: JsonChange = (random, places) => {
  const place = one(random, places);
  set(place, near(random, get(place)));
};

const drop: JsonChange = (random, places) => {
  const { holder, key } = one(random, places);
  if (Array.isArray(holder)) holder.splice(Number(key), 1);
  else delete holder[key];
};

const rename: JsonChange = (random, places) => {
  const place = one(random, places);
  const { holder, key } = place;
  if (Array.isArray(holder)) return;
  const value = get(place);
  delete holder[key];
  const name = chance(random, 0.5) ? one(random, EDGE_TEXTS) : mutateText(random, key);
  // "__proto__" as a key of its own, as JSON.parse makes it.
  Object.defineProperty(holder, name, { value, enumerable: true, configurable: true, writable: true });
};

const move: JsonChange = (random, places) => set(one(random, places), structuredClone(get(one(random, places))));

const wrap: JsonChange = (random, places) => {
  const place = one(random, places);
  set(place, chance(random, 0.5) ? [get(place)] : { value: get(place) });
};

const multiply: JsonChange = (random, places) => {
  const { holder, key } = one(random, places);
  if (!Array.isArray(holder) || holder.length > 1000) return;
  const copy = structuredClone(holder[Number(key)] ?? null);
  for (let left = fewOf(random, 100); left > 0; left--) holder.push(copy);
};

const CHANGES: readonly JsonChange[] = [replace, replace, shift, shift, shift, drop, rename, move, wrap, multiply];

/** A changed copy. */
export const mutateJson = (random: SeededRandom, seed: Json, mostChanges = 4): Json => {
  if (chance(random, 0.01)) return edgeValue(random);
  const root: Json[] = [structuredClone(seed)];
  for (let left = fewOf(random, mostChanges); left > 0; left--) {
    const places = placesIn(root[0]!);
    if (places.length === 0) break;
    one(random, CHANGES)(random, places);
  }
  return root[0]!;
};

/** Its text, which is sometimes no JSON any more, or gives a key twice. */
export const mutateJsonText = (random: SeededRandom, seed: Json, mostChanges = 4): Buffer => {
  const text = JSON.stringify(mutateJson(random, seed, mostChanges));
  if (chance(random, 0.05)) return Buffer.from(text.replace('{', '{"a":1,"a":2,'));
  const bytes = Buffer.from(chance(random, 0.05) ? text.replace(/:(-?\d+)/, ':$1e400') : text);
  return chance(random, 0.1) ? mutateBytes(random, [bytes], 2) : bytes;
};
