/**
 * The one place that names the tensors at a segment's boundary.
 *
 *   residual        [B, T, d]          rows of the residual stream at the segment's entry
 *   position_ids    [B, T]             position of each row for RoPE
 *   attention_bias  [B, 1, 1, T, P+T]  0 where a row sees a key, a large negative number where it does not
 *   rope_cos, _sin  [positions, hd/2]  the tables that position_ids index, only as long as the run needs
 *   past_key.l      [B, Hkv, P, hd]    keys of frozen earlier positions, for each block l of the segment
 *   past_value.l    [B, Hkv, P, hd]
 *   keep            [M]                flat rows (of B*T) that leave the last block; only in a segment that ends the model
 *   residual_out    [B, T, d]          or [M, d] where `keep` is an input
 *   key.l, value.l  [B, Hkv, T, hd]    of the rows given
 */
export const RESIDUAL = 'residual';
export const POSITION_IDS = 'position_ids';
export const ATTENTION_BIAS = 'attention_bias';
/** As ATTENTION_BIAS, with the sliding window applied; only in graphs that have such layers. */
export const LOCAL_ATTENTION_BIAS = 'local_attention_bias';
export const ROPE = { cos: 'rope_cos', sin: 'rope_sin' } as const;
/** The tables of sliding-window layers, where they have frequencies of their own (Gemma 3). */
export const LOCAL_ROPE = { cos: 'local_rope_cos', sin: 'local_rope_sin' } as const;
export const KEEP = 'keep';
export const RESIDUAL_OUT = 'residual_out';
export const pastKey = (layer: number): string => `past_key.${layer}`;
export const pastValue = (layer: number): string => `past_value.${layer}`;
export const keyOut = (layer: number): string => `key.${layer}`;
export const valueOut = (layer: number): string => `value.${layer}`;

/** Large enough to silence a key in softmax, small enough to stay finite after additions in float32. */
export const HIDDEN = -1e30;
