/**
 * Names for the repositories of arXiv 2509.09708, with the commits that were current when this was written. Any other repository is pulled
 * by its own name; its branch is turned into a commit, which is printed and can be pinned.
 */
import type { HubFile } from './hub-client.js';

export interface Shortcut {
  readonly repo: string;
  readonly revision: string;
  readonly about: string;
  /** The files of a repository that are wanted; default: all that `isWanted` lets through. */
  readonly choose?: (files: readonly HubFile[]) => HubFile[];
}

/** The width and the L0 of the paper's authors' published code: 65k, nearest to 100. */
const GEMMA_WIDTH = 'width_65k';
const GEMMA_L0 = 100;

export const SHORTCUTS: Readonly<Record<string, Shortcut>> = {
  'gemma-2-2b-it': {
    repo: 'google/gemma-2-2b-it',
    revision: '299a8560bedf22ed1c72a8a11e7dce4a7f9f51f8',
    about: "the paper's Gemma model (gated)",
  },
  'gemma-scope-2b': {
    repo: 'google/gemma-scope-2b-pt-res',
    revision: 'fd571b47c1c64851e9b1989792367b9babb4af63',
    about: 'its SAEs: width 65k, of each layer the one with L0 nearest 100',
    choose: (files) => nearestL0(files, GEMMA_WIDTH, GEMMA_L0),
  },
  'llama-3.1-8b-it': {
    repo: 'meta-llama/Llama-3.1-8B-Instruct',
    revision: '0e9e39f249a16976918f6564b8830bc894c89659',
    about: "the paper's LLaMA model (gated)",
  },
  'llama-scope-8x': {
    repo: 'fnlp/Llama3_1-8B-Base-LXR-8x',
    revision: '8dbc1d85edfced43081c03c38b05514dbab1368b',
    about: 'its SAEs: residual stream, 8x, all layers',
  },
};

/** Of layer_L/width_W/average_l0_N/params.npz: one a layer. */
export function nearestL0(files: readonly HubFile[], width: string, l0: number): HubFile[] {
  const best = new Map<string, { readonly file: HubFile; readonly distance: number }>();
  for (const file of files) {
    const [layer = '', ownWidth, l0Folder = '', name] = file.path.split('/');
    const own = /^average_l0_(\d+)$/.exec(l0Folder)?.[1];
    if (ownWidth !== width || own === undefined || name !== 'params.npz') continue;
    const distance = Math.abs(Number(own) - l0);
    if (distance < (best.get(layer)?.distance ?? Number.POSITIVE_INFINITY)) best.set(layer, { file, distance });
  }
  return [...best.values()].map(({ file }) => file);
}

/** Pickles are never read; weights for other frameworks and second copies only cost disk. */
const UNWANTED = /\.(pth?|bin|pkl|pickle|ckpt|h5|msgpack|ot|onnx|onnx_data|tflite|mlmodel)$/i;

export function isWanted(path: string, include: readonly RegExp[]): boolean {
  if (include.length > 0) return include.some((pattern) => pattern.test(path));
  return !UNWANTED.test(path) && !path.startsWith('original/') && !path.startsWith('.git');
}

/** "layer_*\/width_65k/**": "*" within a folder, "**" across folders. */
export const globPattern = (glob: string): RegExp => {
  const pieces = glob.split(/(\*\*|\*)/).map((piece) => {
    if (piece === '**') return '.*';
    return piece === '*' ? '[^/]*' : piece.replace(/[.+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${pieces.join('')}$`);
};
