/** The traces of a hydra that were really made, each with where it started. */
import type { Count, Hydra, HydraTrace } from './report-type.js';

export interface MadeTrace extends HydraTrace {
  readonly from: 'minimal sets' | 'strongest features';
  readonly depth: number;
  readonly examined: Count;
}

export const tracesOf = ({ fromStrongest, ...fromSets }: Hydra): MadeTrace[] => [
  ...made('minimal sets', fromSets),
  ...(fromStrongest ? made('strongest features', fromStrongest) : []),
];

const made = (from: MadeTrace['from'], trace: HydraTrace & Pick<MadeTrace, 'examined'>): MadeTrace[] =>
  trace.depth === null ? [] : [{ ...trace, from, depth: trace.depth }];
