/**
 * How an SAE scales a residual before it encodes it, and undoes that on its output. Owns the three forms of SAELens
 * (`normalize_activations`); it prevents a scale that is folded in one place and forgotten in another.
 *
 *   fixed          h = x s                               one factor for every row: exact in edits
 *   constant-norm  h = x sqrt(d) / |x|                   a factor a row
 *   layer-norm     h = (x - mean) / (std + 1e-5)         a factor a row; std with d - 1, as torch.std; undone by std
 */
export type InputScale =
  | { readonly kind: 'fixed'; readonly scale: number }
  | { readonly kind: 'constant-norm' }
  | { readonly kind: 'layer-norm' };

/** SAELens 6.54, `run_time_activation_ln_in`. */
const LAYER_NORM_EPSILON = 1e-5;

export interface RowScale {
  readonly shift: number;
  readonly gainIn: number;
  readonly gainOut: number;
}

/** The scale of one residual [d]. A zero row has gains of 0: it encodes the biases alone. */
export const scaleOfRow = (scale: InputScale, row: Float32Array): RowScale => {
  if (scale.kind === 'fixed') return { shift: 0, gainIn: scale.scale, gainOut: 1 / scale.scale };
  if (scale.kind === 'constant-norm') {
    const norm = Math.sqrt(sumOfSquares(row, 0));
    return { shift: 0, gainIn: norm === 0 ? 0 : Math.sqrt(row.length) / norm, gainOut: norm / Math.sqrt(row.length) };
  }
  const mean = row.reduce((sum, value) => sum + value, 0) / row.length;
  const std = Math.sqrt(sumOfSquares(row, mean) / Math.max(1, row.length - 1));
  return { shift: mean, gainIn: 1 / (std + LAYER_NORM_EPSILON), gainOut: std };
};

const sumOfSquares = (row: Float32Array, centre: number): number => {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += (row[i]! - centre) ** 2;
  return sum;
};

/** Mean and relative spread (standard deviation over mean) of the factor that undoes the scale, over residuals [n, d]. */
export const meanGainOut = (scale: InputScale, residual: Float32Array, d: number): { mean: number; spread: number } => {
  const gains: number[] = [];
  for (let start = 0; start < residual.length; start += d)
    gains.push(scaleOfRow(scale, residual.subarray(start, start + d)).gainOut);
  const mean = gains.reduce((sum, gain) => sum + gain, 0) / gains.length;
  const variance = gains.reduce((sum, gain) => sum + (gain - mean) ** 2, 0) / gains.length;
  return { mean, spread: mean === 0 ? 0 : Math.sqrt(variance) / mean };
};

/** Residuals [n, d] as the encoder reads them, and the scale of each row. */
export const scaleRows = (
  scale: InputScale,
  residual: Float32Array,
  d: number,
  subtract?: Float32Array,
): { readonly h: Float32Array; readonly scales: readonly RowScale[] } => {
  const h = new Float32Array(residual.length);
  const scales: RowScale[] = [];
  for (let start = 0; start < residual.length; start += d) {
    const row = residual.subarray(start, start + d);
    const rowScale = scaleOfRow(scale, row);
    for (let i = 0; i < d; i++)
      h[start + i] = (row[i]! - rowScale.shift) * rowScale.gainIn - (subtract === undefined ? 0 : subtract[i]!);
    scales.push(rowScale);
  }
  return { h, scales };
};
