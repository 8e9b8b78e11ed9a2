/** The stages of an audit in their order. */
import type { AuditSpec } from '../audit/audit-spec.js';
import { alternativesStage } from './alternatives/alternatives.js';
import { candidatesStage } from './candidates.js';
import { controlsStage } from './controls.js';
import { depthStage } from './depth.js';
import { describeStage } from './describe.js';
import { directionsStage } from './directions.js';
import { dormantStage } from './dormant.js';
import { filterStage } from './filter.js';
import { interactionsStage } from './interactions.js';
import { openersStage } from './openers.js';
import { paperStage } from './paper/paper.js';
import { saesStage } from './saes.js';
import type { Stage } from './stage.js';
import type { StageName } from './stage-results.js';
import { verifyStage } from './verify.js';

const STAGES: readonly Stage<StageName>[] = [
  describeStage,
  saesStage,
  openersStage,
  directionsStage,
  candidatesStage,
  depthStage,
  filterStage,
  verifyStage,
  dormantStage,
  interactionsStage,
  controlsStage,
  alternativesStage,
] as readonly Stage<StageName>[];

export const stagesOf = (spec: AuditSpec): readonly Stage<StageName>[] =>
  spec.paper === undefined ? STAGES : [...STAGES, paperStage as Stage<StageName>];
