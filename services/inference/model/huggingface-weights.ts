/**
 * The tensors of a Hugging Face folder under the names of a plain text model ("model.layers.0...."), wherever the file put the
 * language model: multimodal checkpoints nest it, and transformers 4 and 5 do so under different names.
 */
import type { RowRange, TensorInfo, TensorSource } from '../../../shared/tensor-files/tensor-source.js';

/** What stands before "embed_tokens.weight"; the plain text model first. */
const BODIES = ['model.', 'language_model.model.', 'model.language_model.', ''];
const HEADS = ['lm_head.', 'language_model.lm_head.'];

export class HuggingfaceWeights implements TensorSource {
  private readonly body: string;
  private readonly head: string;

  constructor(private readonly source: TensorSource) {
    this.body = BODIES.find((prefix) => source.has(`${prefix}embed_tokens.weight`)) ?? BODIES[0];
    this.head = HEADS.find((prefix) => source.has(`${prefix}weight`)) ?? HEADS[0];
  }

  get path(): string {
    return this.source.path;
  }
  list(): readonly TensorInfo[] {
    return this.source.list();
  }
  has(name: string): boolean {
    return this.source.has(this.stored(name));
  }
  info(name: string): TensorInfo {
    return this.source.info(this.stored(name));
  }
  readFloat32(name: string, rows?: RowRange): Float32Array {
    return this.source.readFloat32(this.stored(name), rows);
  }
  readColumns(name: string, columns: readonly number[]): Float32Array {
    return this.source.readColumns(this.stored(name), columns);
  }
  close(): void {
    this.source.close();
  }

  private stored(name: string): string {
    if (name.startsWith('lm_head.')) return this.head + name.slice('lm_head.'.length);
    return name.startsWith('model.') ? this.body + name.slice('model.'.length) : name;
  }
}
