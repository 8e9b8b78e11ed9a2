/** What the edits of a layer did, as the contract's message. */
import type { LayerProof as WireProof } from '../../proto/gen/refusalscope/v1/types.js';
import type { LayerProof } from './engine/apply-edits.js';

export const toWireProof = (proof: LayerProof): WireProof => ({ ...proof });
