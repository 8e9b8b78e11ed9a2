/** The real SAE service over real gRPC, called by a client that shares no code with it: proto-loader and the proto files. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, credentials, status } from '@grpc/grpc-js';
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SaeServiceDefinition } from '../../../proto/gen/refusalscope/v1/sae.js';
import { startSaeService } from '../../../services/sae/start.js';
import { projectRoot } from '../../../shared/project/root.js';
import { connect } from '../../../shared/rpc/connect.js';
import { openSafetensors } from '../../../shared/tensor-files/safetensors.js';
import { FIXTURES } from '../../unit/sae/sae-cases.js';
import { type Call, callOf, createSaeClient, type Reply, type SaeClient, values, wire } from './sae-client.js';

const GOLDEN = join(projectRoot, 'test/fixtures/golden');
const SAES = join(projectRoot, 'models/saes');
const D = 576;
/** grpc.health.v1.HealthCheckResponse.ServingStatus */
const SERVING = 1;

let service: Awaited<ReturnType<typeof startSaeService>>;
let client: SaeClient;
const call = (method: string): Call => callOf(client, method);
const encode = (request: object) => call('Encode')(request);
const nearest = (request: object) => call('FindNearestFeatures')(request);
const editRows = (request: object) => call('GetEditRows')(request);
const admit = (request: object) => call('AdmitSae')(request);

beforeAll(async () => {
  service = await startSaeService({ saeDirs: [SAES], listen: '127.0.0.1:0' });
  client = createSaeClient(service.address);
});
afterAll(async () => {
  client?.close();
  await service?.stop();
});

const residuals = openSafetensors(join(FIXTURES, 'embedded-residuals.safetensors'));
const p001 = residuals.readFloat32('p001-harmful.13');
const directions = openSafetensors(join(GOLDEN, 'directions.safetensors'));

describe('answers', () => {
  it('ListSaes names every SAE with the sha256 of its file, and says that none is measured yet', async () => {
    const { saes } = await call('ListSaes')({});
    expect(saes.map(({ layer }) => layer)).toEqual([5, 9, 13, 17, 21, 25]);
    for (const sae of saes) {
      const bytes = readFileSync(join(SAES, `layer_${sae.layer}`, 'sae_weights.safetensors'));
      expect(sae).toMatchObject({
        dIn: D,
        dSae: 2304,
        architecture: 'jumprelu',
        format: 'saelens',
        editsExact: true,
        editsNote: 'Exact: an edit to 0 is the ablation of the SAE itself.',
        sha256: createHash('sha256').update(bytes).digest('hex'),
        admission: { verdict: 'VERDICT_UNSPECIFIED', reason: 'Not measured in this process yet: call AdmitSae.' },
      });
      expect(sae.admission.publishedL0).toBeCloseTo(31, 0);
    }
  });

  it('FindNearestFeatures gives the ids of PyTorch for every embedded SAE', async () => {
    const golden = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model.json'), 'utf8')) as {
      sae: { layer: number; nearest_to_direction: { feature: number; cosine: number }[] }[];
    };
    for (const { layer, nearest_to_direction: expected } of golden.sae) {
      const vector = wire(
        directions.readFloat32(`direction.${layer}`).map((value) => value * 7),
        D,
      );
      const { features } = await nearest({ layer, vector, count: expected.length });
      expect(features.map(({ feature }) => feature)).toEqual(expected.map(({ feature: index }) => ({ layer, index })));
      features.forEach(({ cosine }, i) => {
        expect(Math.abs(cosine - expected[i]!.cosine)).toBeLessThan(3e-5);
      });
    }
  });

  it('Encode gives the activations of SAELens, and of chosen features alone the same', async () => {
    const more = JSON.parse(readFileSync(join(GOLDEN, 'embedded-model-more.json'), 'utf8')) as {
      encodings: { prompt: string; layer: number; rows: { features: number[]; values: number[] }[] }[];
    };
    const one = more.encodings.find(({ prompt, layer }) => prompt === 'p063-harmless' && layer === 13)!;
    const residual = wire(residuals.readFloat32('p063-harmless.13'), D);
    const { rows } = await encode({ layer: 13, residual });
    expect(rows.map(({ indices }) => indices)).toEqual(one.rows.map(({ features }) => features));
    rows.forEach((row, r) => {
      row.values.forEach((value, k) => {
        expect(Math.abs(value - one.rows[r]!.values[k]!)).toBeLessThan(1e-4);
      });
    });
    const [first, second] = rows[0]!.indices;
    const some = await encode({ layer: 13, residual, features: [second, first] });
    expect(some.rows[0]).toEqual({ indices: [first, second], values: rows[0]!.values.slice(0, 2) });
  });

  it('GetEditRows answers a bank by layer and index, with the weights of the file', async () => {
    const features = [
      { layer: 17, index: 101 },
      { layer: 13, index: 2303 },
      { layer: 13, index: 5 },
    ];
    const positions = { span: 'SPAN_RANGE', start: 3, end: 9, includeBos: false };
    const { bank } = await editRows({ features, target: 1.5, positions });
    expect(bank.layers.map(({ layer, names }) => [layer, names])).toEqual([
      [13, ['13/5', '13/2303']],
      [17, ['17/101']],
    ]);
    const [edits] = bank.layers;
    const file = openSafetensors(join(SAES, 'layer_13/sae_weights.safetensors'));
    expect(values(edits!.read)).toEqual(file.readColumns('W_enc', [5, 2303]));
    expect(values(edits!.write).subarray(0, D)).toEqual(file.readFloat32('W_dec', { start: 5, count: 1 }));
    expect(values(edits!.bias)[1]).toBe(file.readFloat32('b_enc')[2303]);
    expect(values(edits!.threshold)[0]).toBe(file.readFloat32('threshold')[5]);
    expect([...values(edits!.target)]).toEqual([1.5, 1.5]);
    expect(edits!.positions).toEqual(positions);
    file.close();
  });

  it('AdmitSae gives a verdict with its bounds, and ListSaes shows it from then on', async () => {
    const { admission } = await admit({ layer: 13, residual: wire(p001, D) });
    expect(admission).toMatchObject({ verdict: 'VERDICT_VERIFIED', rows: '41' });
    const { admission: wrong } = await admit({ layer: 25, residual: wire(p001, D) });
    expect(wrong).toMatchObject({ verdict: 'VERDICT_UNVERIFIED', reason: expect.stringContaining('is above') });
    const { saes } = await call('ListSaes')({});
    expect(saes.find(({ layer }) => layer === 13)!.admission).toEqual(admission);
    expect(saes.find(({ layer }) => layer === 25)!.admission).toEqual(wrong);
    expect(saes.find(({ layer }) => layer === 5)!.admission.verdict).toBe('VERDICT_UNSPECIFIED');
  });
});

const NOT_A_NUMBER = Float32Array.from({ length: D }, (_, i) => (i === 7 ? Number.NaN : 1));
const ONES = new Float32Array(D).fill(1);
const feature = (layer: number, index: number) => ({ layer, index });

describe('refusals', () => {
  it.each<[string, () => Promise<Reply>, status, string]>([
    [
      'an unknown feature',
      () => editRows({ features: [feature(13, 2304)] }),
      status.NOT_FOUND,
      'Feature 13/2304 does not exist: the SAE of layer 13 has features 13/0 to 13/2303.',
    ],
    [
      'an unknown feature to encode',
      () => encode({ layer: 5, residual: wire(ONES, D), features: [9999] }),
      status.NOT_FOUND,
      'Feature 5/9999 does not exist: the SAE of layer 5 has features 5/0 to 5/2303.',
    ],
    [
      'a layer without an SAE',
      () => nearest({ layer: 14, vector: wire(ONES, D), count: 1 }),
      status.NOT_FOUND,
      'No SAE is loaded for layer 14; there are SAEs for layers 5, 9, 13, 17, 21, 25.',
    ],
    [
      'residuals of another width',
      () => encode({ layer: 13, residual: wire(ONES.subarray(0, 512), 512) }),
      status.INVALID_ARGUMENT,
      'The residual is 512 wide; the SAE of layer 13 reads residuals of 576 values. Use an SAE of this model.',
    ],
    [
      'a vector of another width',
      () => nearest({ layer: 13, vector: wire(ONES.subarray(1), 575), count: 1 }),
      status.INVALID_ARGUMENT,
      'The vector is 575 wide; the SAE of layer 13 reads residuals of 576 values. Use an SAE of this model.',
    ],
    [
      'NaN in a residual',
      () => encode({ layer: 13, residual: wire(NOT_A_NUMBER, D) }),
      status.INVALID_ARGUMENT,
      'residual holds NaN at row 0, column 7; every value must be a finite number.',
    ],
    [
      'NaN in a vector',
      () => nearest({ layer: 13, vector: wire(NOT_A_NUMBER, D), count: 1 }),
      status.INVALID_ARGUMENT,
      'vector holds NaN at row 0, column 7; every value must be a finite number.',
    ],
    [
      'a NaN target',
      () => editRows({ features: [feature(13, 5)], target: Number.NaN }),
      status.INVALID_ARGUMENT,
      'target is NaN; it must be a finite float32 number, such as 0.',
    ],
    [
      'a target beyond float32',
      () => editRows({ features: [feature(13, 5)], target: 1e39 }),
      status.INVALID_ARGUMENT,
      'target is 1e+39; it must be a finite float32 number, such as 0.',
    ],
    [
      'bytes that do not fit the shape',
      () => encode({ layer: 13, residual: { rows: 2, cols: D, data: Buffer.alloc(8) } }),
      status.INVALID_ARGUMENT,
      'residual says 2 x 576 float32, which is 4608 bytes, but holds 8 bytes.',
    ],
    ['no residual', () => encode({ layer: 13 }), status.INVALID_ARGUMENT, 'residual is missing.'],
    [
      'no rows',
      () => encode({ layer: 13, residual: wire(new Float32Array(0), D) }),
      status.INVALID_ARGUMENT,
      'residual has 0 rows; 1 to 4096 are allowed.',
    ],
    [
      'too many rows',
      () => encode({ layer: 13, residual: wire(new Float32Array(4097 * D), D) }),
      status.INVALID_ARGUMENT,
      'residual has 4097 rows; 1 to 4096 are allowed.',
    ],
    [
      'the zero vector',
      () => nearest({ layer: 13, vector: wire(new Float32Array(D), D), count: 1 }),
      status.INVALID_ARGUMENT,
      'The vector is zero: it has no direction. Send a vector with a length.',
    ],
    [
      'a count of 0',
      () => nearest({ layer: 13, vector: wire(ONES, D), count: 0 }),
      status.INVALID_ARGUMENT,
      '0 features were asked for; the SAE of layer 13 has 2304. Ask for 1 to 2304.',
    ],
    [
      'a count above d_sae',
      () => nearest({ layer: 13, vector: wire(ONES, D), count: 2305 }),
      status.INVALID_ARGUMENT,
      '2305 features were asked for; the SAE of layer 13 has 2304. Ask for 1 to 2304.',
    ],
    [
      'no features',
      () => editRows({ features: [] }),
      status.INVALID_ARGUMENT,
      'features is empty; name 1 feature at least.',
    ],
    [
      'a feature named twice',
      () => editRows({ features: [feature(13, 5), feature(9, 5), feature(13, 5)] }),
      status.INVALID_ARGUMENT,
      'Feature 13/5 is named twice; features must be distinct.',
    ],
    [
      'more features than a reply holds',
      () => editRows({ features: Array.from({ length: 65_537 }, (_, i) => feature(1, i)) }),
      status.INVALID_ARGUMENT,
      'features has 65537 entries; at most 65536 are allowed. Ask for them in parts.',
    ],
    [
      'too few rows to admit',
      () => admit({ layer: 13, residual: wire(p001.subarray(0, 15 * D), D) }),
      status.INVALID_ARGUMENT,
      'residual has 15 rows; 16 to 16384 are allowed.',
    ],
    [
      'equal rows to admit',
      () => admit({ layer: 13, residual: wire(new Float32Array(16 * D).fill(2), D) }),
      status.INVALID_ARGUMENT,
      'All 16 residuals are equal: nothing can be measured on them. Send different positions.',
    ],
  ])('%s', async (_, run, code, text) => {
    await expect(run()).rejects.toMatchObject({ code, details: text });
  });

  it('carries the code of the registry to our own client', async () => {
    const connection = connect(SaeServiceDefinition, service.address);
    const request = { features: [feature(13, 2304)], target: 0 };
    await expect(connection.client.getEditRows(request)).rejects.toMatchObject({ code: 'FEATURE_UNKNOWN' });
    connection.close();
  });

  it('a message over the limit of the server', async () => {
    const small = await startSaeService({
      saeDirs: [SAES],
      listen: '127.0.0.1:0',
      limits: { maxMessageBytes: 100_000 },
    });
    const other = connect(SaeServiceDefinition, small.address);
    const data = Buffer.alloc(200 * D * 4);
    const refused = other.client.encode({ layer: 13, residual: { rows: 200, cols: D, data } });
    await expect(refused).rejects.toThrow(/larger than max.*100000/);
    other.close();
    await small.stop();
  });

  it('a cancelled call ends at once, and the thread goes on to the next', async () => {
    const connection = connect(SaeServiceDefinition, service.address);
    const cancel = new AbortController();
    const data = new Float32Array(4096 * D).fill(0.5);
    const long = connection.client.encode({ layer: 13, residual: wire(data, D) }, { signal: cancel.signal });
    setTimeout(() => cancel.abort(), 300);
    await expect(long).rejects.toMatchObject({ code: 'CANCELLED' });
    const startedAt = performance.now();
    await encode({ layer: 13, residual: wire(ONES, D) });
    expect(performance.now() - startedAt).toBeLessThan(1000);
    connection.close();
  });
});

describe('the server', () => {
  it('is SERVING by name and as a whole', async () => {
    const channel = createChannel(service.address);
    const health = createClient(HealthDefinition, channel);
    for (const name of ['', 'refusalscope.v1.SaeService']) {
      const reply = await health.check({ service: name });
      expect(reply.status).toBe(SERVING);
    }
    channel.close();
  });

  it('lists its service by reflection', async () => {
    const raw = new Client(service.address, credentials.createInsecure());
    const same = (bytes: Buffer) => bytes;
    const path = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';
    const stream = raw.makeBidiStreamRequest(path, same, same);
    const reply = new Promise<Buffer>((resolve, reject) => stream.once('data', resolve).once('error', reject));
    stream.write(Buffer.from('\x3a\x01*')); // list_services = 7: "*"
    expect((await reply).toString('latin1')).toContain('refusalscope.v1.SaeService');
    stream.end();
    raw.close();
  });

  it('answers health checks while it encodes 2048 residuals', async () => {
    const channel = createChannel(service.address);
    const health = createClient(HealthDefinition, channel);
    const many = new Float32Array(2048 * D);
    for (let r = 0; r < 2048; r++) many.set(p001.subarray((r % 41) * D, ((r % 41) + 1) * D), r * D);
    let done = false;
    const encoding = encode({ layer: 13, residual: wire(many, D) }).finally(() => {
      done = true;
    });
    let answered = 0;
    while (!done) {
      await health.check({ service: '' });
      if (!done) answered++;
    }
    expect((await encoding).rows).toHaveLength(2048);
    // The encoding takes a second; were it on the event loop, one or two checks would get through.
    expect(answered).toBeGreaterThan(20);
    channel.close();
  });
});

describe('a start', () => {
  it('fails with the fault of the folder', async () => {
    const start = startSaeService({ saeDirs: ['/nowhere'], listen: '127.0.0.1:0' });
    await expect(start).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: '/nowhere is not a folder. Name the folder of an SAE, or one that holds such folders.',
    });
  });
});
