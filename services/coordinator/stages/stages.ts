/** The stages of an audit in their order. */
import type { AuditSpec } from '../audit/audit-spec.js';
import { alternativesStage } from './alternatives/alternatives.js';
import { candidatesStage } from './candidates.js';
import { controlsStage } from './controls.js';
import { costStage } from './cost.js';
import { depthStage } from './depth.js';
import { describeStage } from './describe.js';
import { directionsStage } from './directions.js';
import { dormantStage } from './dormant.js';
import { familyStage } from './family.js';
import { filterStage } from './filter.js';
import { hydraStage } from './hydra.js';
import { interactionsStage } from './interactions.js';
import { openersStage } from './openers.js';
import { overRefusalStage } from './over-refusal.js';
import { paperStage } from './paper/paper.js';
import { saesStage } from './saes.js';
import type { Stage } from './stage.js';
import type { StageName } from './stage-results.js';
import { sufficiencyStage } from './sufficiency.js';
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
] as readonly Stage<StageName>[];

/** How far the findings hold. A spec from before there were such stages is finished without them. */
const CLAIM_STAGES = [
  alternativesStage,
  familyStage,
  hydraStage,
  sufficiencyStage,
  costStage,
] as readonly Stage<StageName>[];

export const stagesOf = (spec: AuditSpec): readonly Stage<StageName>[] => {
  const skipped = new Set<string>(spec.skipStages);
  return [
    ...STAGES,
    ...CLAIM_STAGES.filter(({ name }) => spec.claims !== undefined && !skipped.has(name)),
    ...(spec.overRefusal ? [overRefusalStage as Stage<StageName>] : []),
    ...(spec.paper ? [paperStage as Stage<StageName>] : []),
  ];
};
