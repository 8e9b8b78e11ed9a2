/** The style sheet and the script of the console's own pages. */
import { loadAsset } from './load-asset.js';

export const CONSOLE_STYLE = loadAsset('base.css', 'console.css');
export const CONSOLE_SCRIPT = loadAsset('console.js');
