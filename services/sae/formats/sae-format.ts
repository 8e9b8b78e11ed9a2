import type { FormatName, SaeDescription } from '../sae-description.js';
import type { SaeFolder } from './sae-folder.js';

/** One on-disk format. `matches` looks at file names alone; `describe` reads configs and headers, and throws faults that name file and field. */
export interface SaeFormat {
  readonly name: FormatName;
  matches(folder: SaeFolder): boolean;
  describe(folder: SaeFolder): SaeDescription;
}
