import type { FeatureRule } from '../sae.js';
import type { ArchitectureName, SaeDescription, VectorSymbol } from '../sae-description.js';

/** What an architecture is built from; vectors are [d_sae] and finite. */
export interface RuleInputs {
  readonly description: SaeDescription;
  vector(symbol: VectorSymbol): Float32Array;
  /** |W_dec[k]| [d_sae]; takes one scan of the decoder. */
  decoderNorms(): Float32Array;
}

/** One architecture: how its activations come out of the products h . W_enc[:, k], and what an edit of one feature means. */
export interface Architecture {
  readonly name: ArchitectureName;
  buildRule(inputs: RuleInputs): FeatureRule;
  /** Absent where an edit is exactly the SAE's own ablation; else what is approximate. */
  readonly approximation?: string;
}
