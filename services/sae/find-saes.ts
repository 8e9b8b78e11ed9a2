/**
 * Finds the SAEs under the folders that were named: one a layer. It prevents two SAEs of one layer from shadowing each other, and
 * reports every folder that cannot be used at once.
 */
import { readdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fault, isFault } from '../../shared/errors/fault.js';
import { findFormat } from './formats/find-format.js';
import { SaeFolder } from './formats/sae-folder.js';
import type { SaeDescription } from './sae-description.js';

export interface SaeChoice {
  /** Of several SAEs of a layer, those with this d_sae. */
  readonly width?: number;
  /** Of several SAEs of a layer, the one whose published L0 is nearest. */
  readonly l0?: number;
}

/** release / place / layer / width / l0 */
const MAX_DEPTH = 5;
const MAX_FOLDERS = 20_000;
/** One a block: the deepest models have 126. */
const MAX_SAES = 1024;

/** Ascending by layer. Throws FILE_NOT_FOUND, CONFIG_INVALID (several a layer, none at all), and the faults of unusable folders. */
export const findSaes = (saeDirs: readonly string[], choice: SaeChoice = {}): readonly SaeDescription[] => {
  const folders = saeDirs.flatMap((dir) => saeFolders(resolve(dir)));
  const problems: unknown[] = [];
  const found = folders.flatMap((folder) => {
    try {
      const description = findFormat(folder)?.describe(folder);
      return description === undefined ? [] : [description];
    } catch (problem) {
      problems.push(problem);
      return [];
    }
  });
  if (problems.length > 0) throw together(problems);
  if (saeDirs.length > 0 && found.length === 0)
    throw fault(
      'CONFIG_INVALID',
      `No SAE was found under ${saeDirs.join(', ')}. Formats that are read: docs/services/sae.md.`,
    );
  const layers = [...new Set(found.map(({ layer }) => layer))].sort((a, b) => a - b);
  return layers.map((layer) =>
    onlyOne(
      found.filter((description) => description.layer === layer),
      choice,
    ),
  );
};

/** The folders below `root` that hold an SAE, itself included; below an SAE nothing is searched. */
const saeFolders = (root: string): SaeFolder[] => {
  const isFolder = statSync(root, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (!isFolder)
    throw fault(
      'FILE_NOT_FOUND',
      `${root} is not a folder. Name the folder of an SAE, or one that holds such folders.`,
    );
  const found: SaeFolder[] = [];
  let seen = 0;
  const visit = (path: string, depth: number): void => {
    if (++seen > MAX_FOLDERS)
      throw fault(
        'CONFIG_INVALID',
        `${root} holds more than ${MAX_FOLDERS} folders. Name the folder of the SAEs itself.`,
      );
    const folder = new SaeFolder(path);
    if (isCandidate(folder)) {
      found.push(folder);
      if (found.length > MAX_SAES)
        throw fault('CONFIG_INVALID', `${root} holds more than ${MAX_SAES} SAEs. Name fewer folders.`);
    } else if (depth < MAX_DEPTH)
      for (const entry of readdirSync(path, { withFileTypes: true }))
        if (entry.isDirectory() && !entry.name.startsWith('.')) visit(join(path, entry.name), depth + 1);
  };
  visit(root, 0);
  return found;
};

/** A pickle counts, so that it is named and not passed over. */
const isCandidate = (folder: SaeFolder): boolean => {
  try {
    return findFormat(folder) !== undefined;
  } catch {
    return true;
  }
};

const onlyOne = (candidates: readonly SaeDescription[], choice: SaeChoice): SaeDescription => {
  const wide = choice.width === undefined ? candidates : candidates.filter(({ dSae }) => dSae === choice.width);
  const distance = ({ published }: SaeDescription) =>
    Math.abs((published.l0 ?? Number.POSITIVE_INFINITY) - (choice.l0 ?? 0));
  const [first, second] = choice.l0 === undefined ? wide : [...wide].sort((a, b) => distance(a) - distance(b));
  const { layer } = candidates[0]!;
  if (first === undefined)
    throw fault(
      'CONFIG_INVALID',
      `No SAE of layer ${layer} has ${choice.width} features; there are ${candidates.map(({ dSae }) => dSae).join(', ')}. Choose one of these widths.`,
    );
  if (second !== undefined && (choice.l0 === undefined || distance(first) === distance(second)))
    throw fault(
      'CONFIG_INVALID',
      `Layer ${layer} has ${wide.length} SAEs: ${wide
        .map(({ folder }) => folder)
        .slice(0, 4)
        .join(', ')}. Name one folder, or choose by width and L0.`,
    );
  return first;
};

const together = (problems: readonly unknown[]): unknown => {
  const [first] = problems;
  if (problems.length === 1 || !isFault(first)) return first;
  const texts = problems.map((problem) => (isFault(problem) ? problem.message : String(problem)));
  return fault(first.code, `${problems.length} SAE folders cannot be used:\n  ${texts.slice(0, 8).join('\n  ')}`);
};
