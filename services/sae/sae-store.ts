/**
 * All SAEs of the process: opened on first use, asked by layer, with what the admission test found out. Runs on the SAE thread.
 * It prevents an SAE whose reading is still open from being used as if it were settled.
 */
import { fault } from '../../shared/errors/fault.js';
import type { FeatureId } from '../../shared/tensors/feature-name.js';
import { BlockCache } from './block-cache.js';
import { chooseReading, settledSae } from './choose-reading.js';
import { type EditForm, exactEditForm, measureEditForm, pendingEditNote, statedEditForm } from './edit-form.js';
import { buildEditRows, type EditRows } from './edit-rows.js';
import { encodeResiduals } from './encode-residuals.js';
import type { Fit } from './measure-fit.js';
import { findNearestFeatures, type Neighbour } from './nearest-features.js';
import { type OpenSae, openSae } from './open-sae.js';
import { assertFeatures, assertWidth, type Sae } from './sae.js';
import type { SaeDescription } from './sae-description.js';
import type { SparseRow } from './sparse-rows.js';
import { judgeFit, type Verdict } from './verdict.js';

export interface Admission extends Fit, Verdict {
  /** L0 that the files state. */
  readonly publishedL0?: number;
}

export interface SaeSummary {
  readonly description: SaeDescription;
  readonly editsExact: boolean;
  readonly editsNote: string;
  readonly admission?: Admission;
}

export interface LayerEditRows extends EditRows {
  readonly layer: number;
  readonly features: readonly number[];
  readonly dIn: number;
}

/** Called between blocks of work; throws to stop it. */
export type Checkpoint = () => void;

/** A reply must fit one message of 128 MiB (shared/rpc/server-limits.ts), with room for names and framing. */
const MAX_EDIT_BYTES = 96 << 20;

interface Entry {
  readonly description: SaeDescription;
  open?: OpenSae;
  sae?: Sae;
  form?: EditForm;
  admission?: Admission;
}

export class SaeStore {
  private readonly entries: ReadonlyMap<number, Entry>;
  private readonly cache: BlockCache;

  constructor(descriptions: readonly SaeDescription[], cacheBytes: number) {
    this.entries = new Map(descriptions.map((description) => [description.layer, { description }]));
    this.cache = new BlockCache(cacheBytes);
  }

  list(): SaeSummary[] {
    return [...this.entries.values()].map((entry) => {
      const { description, admission } = entry;
      const { exact, note } = entry.form ?? statedEditForm(description);
      return { description, editsExact: exact, editsNote: note, ...(admission && { admission }) };
    });
  }

  /** residual [n, width]; throws SAE_UNKNOWN, SHAPE_MISMATCH, SAE_NOT_ADMITTED, and the faults of encodeResiduals. */
  encode(
    layer: number,
    residual: Float32Array,
    width: number,
    features: readonly number[],
    checkpoint: Checkpoint,
  ): SparseRow[] {
    const entry = this.entry(layer);
    assertWidth('The residual', layer, entry.description.dIn, width);
    return encodeResiduals(settled(entry, this.opened(entry)), residual, { features, checkpoint });
  }

  /** Needs no admission: no reading changes the direction of a decoder row. */
  nearest(layer: number, vector: Float32Array, count: number, checkpoint: Checkpoint): Neighbour[] {
    const entry = this.entry(layer);
    assertWidth('The vector', layer, entry.description.dIn, vector.length);
    const open = this.opened(entry);
    const sae = entry.sae ?? open.as(entry.description.readings[0], { kind: 'fixed', scale: 1 });
    return findNearestFeatures(sae, vector, count, checkpoint);
  }

  /** Ascending by layer and index. Throws SAE_UNKNOWN, FEATURE_UNKNOWN, REQUEST_TOO_LARGE, SAE_NOT_ADMITTED. */
  editRows(features: readonly FeatureId[], checkpoint: Checkpoint): LayerEditRows[] {
    const layers = [...new Set(features.map(({ layer }) => layer))].sort((a, b) => a - b);
    const wanted = layers.map((layer) => {
      const indices = features.filter((feature) => feature.layer === layer).map(({ index }) => index);
      const entry = this.entry(layer);
      assertFeatures(layer, entry.description.dSae, indices);
      return { layer, entry, indices: indices.sort((a, b) => a - b) };
    });
    assertEditBytes(wanted.map(({ entry, indices }) => ({ count: indices.length, dIn: entry.description.dIn })));
    return wanted.map(({ layer, entry, indices }) => {
      checkpoint();
      const sae = settled(entry, this.opened(entry));
      entry.form ??= exactEditForm(sae);
      if (entry.form === undefined) throw notAdmitted(entry);
      return { layer, features: indices, dIn: sae.dIn, ...buildEditRows(sae, entry.form, indices) };
    });
  }

  /** Measures, settles the reading and the form of edits, and keeps the verdict. residual [n, width]. */
  admit(layer: number, residual: Float32Array, width: number, checkpoint: Checkpoint): Admission {
    const entry = this.entry(layer);
    assertWidth('The residual', layer, entry.description.dIn, width);
    const chosen = chooseReading(this.opened(entry), residual, checkpoint);
    const form = measureEditForm(chosen.sae, entry.description, residual);
    const verdict = judgeFit(chosen.fit, entry.description);
    const { l0: publishedL0 } = entry.description.published;
    const admission: Admission = {
      ...chosen.fit,
      ...verdict,
      ...(publishedL0 !== undefined && { publishedL0 }),
      reason: chosen.record === '' ? verdict.reason : `${verdict.reason} ${chosen.record}`,
    };
    Object.assign(entry, { sae: chosen.sae, form, admission });
    return admission;
  }

  close(): void {
    for (const entry of this.entries.values()) entry.open?.close();
  }

  private entry(layer: number): Entry {
    const entry = this.entries.get(layer);
    if (entry === undefined)
      throw fault(
        'SAE_UNKNOWN',
        `No SAE is loaded for layer ${layer}; there are SAEs for layers ${[...this.entries.keys()].join(', ') || '(none)'}.`,
      );
    return entry;
  }

  private opened(entry: Entry): OpenSae {
    entry.open ??= openSae(entry.description, this.cache);
    return entry.open;
  }
}

const settled = (entry: Entry, open: OpenSae): Sae => {
  entry.sae ??= settledSae(open);
  if (entry.sae === undefined) throw notAdmitted(entry);
  return entry.sae;
};

const notAdmitted = ({ description }: Entry) =>
  fault(
    'SAE_NOT_ADMITTED',
    `The SAE of layer ${description.layer} (${description.format}, ${description.architecture}) cannot be used yet. ${pendingEditNote(description)}`,
  );

const assertEditBytes = (parts: readonly { readonly count: number; readonly dIn: number }[]): void => {
  const bytes = parts.reduce((sum, { count, dIn }) => sum + count * dIn * 2 * Float32Array.BYTES_PER_ELEMENT, 0);
  if (bytes > MAX_EDIT_BYTES) {
    const count = parts.reduce((sum, part) => sum + part.count, 0);
    throw fault(
      'REQUEST_TOO_LARGE',
      `The rows of ${count} features take ${bytes} bytes; one reply holds ${MAX_EDIT_BYTES}. Ask for ${Math.floor((count * MAX_EDIT_BYTES) / bytes)} at a time.`,
    );
  }
};
