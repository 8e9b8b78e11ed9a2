/** The five services that ship, in this process, on a tiny planted model: what the RPC targets call. Errors that they log are kept. */
import { loadMechanism } from '../../../bench/truth/mechanism.js';
import { type PlantedModel, plantModel } from '../../../bench/truth/plant/plant-model.js';
import { type Mesh, startMesh } from '../../../services/mesh/start-mesh.js';
import { projectRoot } from '../../../shared/project/root.js';

export interface FuzzedMesh {
  readonly mesh: Mesh;
  readonly planted: PlantedModel;
  /** Takes out what the services logged as errors since the last time. */
  takeErrors(): string[];
}

/** One mesh for all targets that are open at a time: starting it takes longer than a thousand calls. */
let shared: { readonly mesh: Promise<FuzzedMesh>; users: number } | undefined;

export const takeMesh = (scratch: string): Promise<FuzzedMesh> => {
  shared ??= { mesh: startFuzzedMesh(scratch), users: 0 };
  shared.users += 1;
  return shared.mesh;
};

export const giveMeshBack = async (): Promise<void> => {
  if (shared === undefined || --shared.users > 0) return;
  const { mesh } = await shared.mesh;
  shared = undefined;
  await mesh.stop();
};

const startFuzzedMesh = async (scratch: string): Promise<FuzzedMesh> => {
  const mechanism = loadMechanism(`${projectRoot}/bench/truth/mechanisms/single.json`);
  const planted = plantModel(mechanism, { folder: scratch, seed: 11, promptsPerCategory: 3 });
  let errors: string[] = [];
  const mesh = await startMesh({
    modelName: 'planted',
    modelPath: planted.modelFolder,
    saeDirs: [planted.saeFolder],
    threads: 1,
    cacheBytes: 16 << 20,
    stateDir: `${scratch}/state`,
    logLevel: 'error',
    logTo: { write: (line: string) => void errors.push(line) },
    consoleListen: '127.0.0.1:0',
  });
  const takeErrors = (): string[] => {
    const taken = errors;
    errors = [];
    return taken;
  };
  return { mesh, planted, takeErrors };
};
