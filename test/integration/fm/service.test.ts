import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  FitMode,
  FitModel,
  FitRequest,
  type FitResult,
  FmServiceDefinition,
  MaskDesign,
} from '../../../proto/gen/refusalscope/v1/fm.js';
import { type RunningFmService, startFmService } from '../../../services/fm/start.js';
import { isFault } from '../../../shared/errors/fault.js';
import { type Connection, connect } from '../../../shared/rpc/connect.js';
import { decodeMask } from '../../../shared/tensors/mask-bits.js';
import { decodeMatrix, encodeMatrix } from '../../../shared/tensors/matrix.js';
import { drawData, plantPairs, recall } from '../../unit/fm/planted.js';

let service: RunningFmService;
let peer: Connection<typeof FmServiceDefinition>;

beforeAll(async () => {
  service = await startFmService({ listen: '127.0.0.1:0', maxFits: 2 });
  peer = connect(FmServiceDefinition, service.address, { retry: { maxAttempts: 1 } });
});
afterAll(async () => {
  peer.close();
  await service.stop();
});

const planted = plantPairs(24, 5, 1);
const requestOf = (rows: number, change: Partial<FitRequest> = {}): FitRequest => {
  const { design, target } = drawData(planted, 24, rows, 1, 0.1);
  return FitRequest.fromPartial({
    mode: FitMode.FIT_MODE_MASKS,
    design: encodeMatrix({ rows, cols: 24, data: design.values }),
    targets: Array.from(target),
    options: { seed: 3, topInteractions: 5 },
    ...change,
  });
};

const runFit = async (request: FitRequest, signal = new AbortController().signal) => {
  let result: FitResult | undefined;
  const stages: string[] = [];
  for await (const { event } of peer.client.fit(request, { signal })) {
    if (event?.$case === 'progress') stages.push(event.value.stage);
    if (event?.$case === 'result') result = event.value;
  }
  return { result: result!, stages };
};

const failureOf = async (request: FitRequest) => {
  const thrown = await runFit(request).then(
    () => undefined,
    (problem: unknown) => problem,
  );
  return isFault(thrown) ? [thrown.code, thrown.message] : thrown;
};

describe('FM service over gRPC', () => {
  it('fits masks: planted pairs on top, better than linear on the same rows, the same twice', async () => {
    const { result, stages } = await runFit(requestOf(400));
    expect(recall(planted, result.interactions)).toBe(1);
    expect(result.factorizationMachineMetrics!.r2).toBeGreaterThan(0.95);
    expect(result.linearMetrics!.r2).toBeLessThan(result.factorizationMachineMetrics!.r2!);
    expect(result.allPairsMetrics!.r2).toBeGreaterThan(0.9);
    expect([result.trainRows, result.validationRows, result.testRows]).toEqual([280, 60, 60]);
    expect(result.boostedTreesMetrics!.r2).toBeGreaterThan(0.8);
    expect(result.mainEffects).toHaveLength(24);
    expect(stages).toContain('factorization machine');
    expect((await runFit(requestOf(400))).result).toEqual(result);
  });

  it('names the model of least validation loss as the one that the pairs come from', async () => {
    const { result } = await runFit(requestOf(400));
    const losses = new Map([
      [FitModel.FIT_MODEL_FACTORIZATION_MACHINE, result.factorizationMachineMetrics!.validationLoss],
      [FitModel.FIT_MODEL_ALL_PAIRS, result.allPairsMetrics!.validationLoss],
      [FitModel.FIT_MODEL_BOOSTED_TREES, result.boostedTreesMetrics!.validationLoss],
    ]);
    expect(losses.get(result.pairsFrom)).toBe(Math.min(...losses.values()));
    expect(result.chosen).toBe(result.pairsFrom);
    expect(result.linearMetrics!.validationLoss).toBeGreaterThan(losses.get(result.chosen)!);
  });

  it('sends a machine whose factors give the interactions that it names, where the pairs are its', async () => {
    // Activations have no other model with pairs.
    const request = requestOf(300, { mode: FitMode.FIT_MODE_ACTIVATIONS });
    const { result } = await runFit({ ...request, targets: request.targets.map((y) => (y > 3 ? 1 : 0)) });
    expect(result.pairsFrom).toBe(FitModel.FIT_MODEL_FACTORIZATION_MACHINE);
    const factors = decodeMatrix(result.machine!.factors, { name: 'factors', rows: 24 });
    const row = (k: number) => factors.data.subarray(k * factors.cols, (k + 1) * factors.cols);
    for (const { first, second, effect } of result.interactions)
      expect(row(first).reduce((sum, v, f) => sum + v * row(second)[f]!, 0)).toBeCloseTo(effect, 4);
  });

  it('fits labels as the paper does: rank 20', async () => {
    const request = requestOf(300, { mode: FitMode.FIT_MODE_ACTIVATIONS });
    const median = [...request.targets].sort((a, b) => a - b)[150]!;
    const { result } = await runFit({ ...request, targets: request.targets.map((y) => (y > median ? 1 : 0)) });
    expect(result.machine!.factors!.cols).toBe(20);
    expect(result.factorizationMachineMetrics!.accuracy).toBeGreaterThan(0.6);
    expect(result.factorizationMachineMetrics!.r2).toBeUndefined();
    expect(result.allPairsMetrics).toBeUndefined();
  });

  it.each<[string, Partial<FitRequest>, string, RegExp]>([
    ['no mode', { mode: FitMode.FIT_MODE_UNSPECIFIED }, 'REQUEST_INVALID', /mode is missing/],
    ['no design', { design: undefined }, 'REQUEST_INVALID', /design is missing/],
    [
      'four billion rows in no bytes',
      { design: { rows: 4294967295, cols: 0, data: Buffer.alloc(0) } },
      'SHAPE_MISMATCH',
      /4294967295 rows of 0 columns/,
    ],
    [
      'four billion columns in no bytes',
      { design: { rows: 0, cols: 4294967295, data: Buffer.alloc(0) } },
      'REQUEST_INVALID',
      /0 rows are too few/,
    ],
    [
      'half a mask',
      { design: encodeMatrix({ rows: 20, cols: 2, data: new Float32Array(40).fill(0.5) }) },
      'REQUEST_INVALID',
      /feature 0 of row 0 is 0.5; a mask holds 0 or 1/,
    ],
    [
      'NaN in the design',
      { design: encodeMatrix({ rows: 20, cols: 2, data: new Float32Array(40).fill(Number.NaN) }) },
      'NOT_FINITE',
      /design holds NaN at row 0, column 0/,
    ],
    ['a target too few', { targets: [1, 2] }, 'SHAPE_MISMATCH', /2 targets for 40 rows/],
    ['names of other features', { names: ['5/1'] }, 'SHAPE_MISMATCH', /names holds 1 names for 24 features/],
    [
      'a share above a half',
      { options: { ...requestOf(40).options!, testShare: 0.7 } },
      'REQUEST_INVALID',
      /test_share is 0.7/,
    ],
    [
      'a rank above the limit',
      { options: { ...requestOf(40).options!, rank: 1000 } },
      'REQUEST_INVALID',
      /rank is 1000; .* 1 to 256/,
    ],
    [
      'a negative penalty',
      { options: { ...requestOf(40).options!, l2Pairwise: -1 } },
      'REQUEST_INVALID',
      /l2Factors is -1/,
    ],
    ['groups for other rows', { groups: [1, 2, 3] }, 'SHAPE_MISMATCH', /3 group names for 40 rows/],
  ])('refuses %s', async (_, change, code, text) => {
    expect(await failureOf(requestOf(40, change))).toEqual([code, expect.stringMatching(text)]);
  });

  it('cancels a fit, answers BUSY above its limit, and goes on serving', async () => {
    const controller = new AbortController();
    const slow = requestOf(4000, { options: { ...requestOf(40).options!, rank: 64 } });
    const running = [runFit(slow, controller.signal), runFit(slow, controller.signal)];
    const settled = Promise.allSettled(running);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await failureOf(requestOf(40))).toEqual([
      'BUSY',
      expect.stringMatching(/The fm service has 2 jobs; at most 2 may wait/),
    ]);
    controller.abort();
    for (const outcome of await settled) expect(outcome).toMatchObject({ reason: { code: 'CANCELLED' } });
    await expect.poll(async () => (await failureOf(requestOf(40))) ?? 'done', { timeout: 5000 }).toBe('done');
  });

  it('designs distinct seeded masks of the right length', async () => {
    const ask = { features: 37, count: 100, design: MaskDesign.MASK_DESIGN_STRATIFIED, seed: 9 };
    const { masks } = await peer.client.designMasks(ask);
    const sizes = masks.map(({ bits }) => decodeMask(bits, 37).reduce((sum, x) => sum + x, 0));
    expect(new Set(masks.map(({ bits }) => Buffer.from(bits).toString('hex'))).size).toBe(100);
    expect(sizes.slice(0, 2)).toEqual([0, 37]);
    expect(sizes.filter((size) => size < 10).length).toBeGreaterThan(10);
    expect((await peer.client.designMasks(ask)).masks).toEqual(masks);
  });

  it.each([
    [{ features: 0, count: 5, design: MaskDesign.MASK_DESIGN_UNIFORM }, /over 0 features/],
    [{ features: 5, count: 0, design: MaskDesign.MASK_DESIGN_UNIFORM }, /count is 0; it must be 1 to 65536/],
    [{ features: 5, count: 5, design: MaskDesign.MASK_DESIGN_UNSPECIFIED }, /design is missing/],
  ])('refuses the design %j', async (ask, text) => {
    await expect(peer.client.designMasks({ ...ask, seed: 0 })).rejects.toMatchObject({
      code: 'REQUEST_INVALID',
      message: expect.stringMatching(text),
    });
  });
});
