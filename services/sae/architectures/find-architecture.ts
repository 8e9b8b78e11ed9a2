import type { ArchitectureName } from '../sae-description.js';
import type { Architecture } from './architecture.js';
import { gated } from './gated.js';
import { jumprelu } from './jumprelu.js';
import { standard } from './standard.js';
import { topk } from './topk.js';

/** The registry: the type makes sure that every name has its architecture. */
const ARCHITECTURES: Readonly<Record<ArchitectureName, Architecture>> = { jumprelu, standard, topk, gated };

export const findArchitecture = (name: ArchitectureName): Architecture => ARCHITECTURES[name];
