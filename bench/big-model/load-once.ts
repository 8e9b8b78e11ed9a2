/** Child of measure-load.ts: loads a model in one weight mode, runs it, and tells on stdout when each part is done. */
import { Batch, CAUSAL } from '../../services/inference/engine/batch.js';
import { Transformer } from '../../services/inference/engine/transformer.js';
import { createWeights, type WeightMode } from '../../services/inference/graph/create-weights.js';
import { openModel } from '../../services/inference/model/open-model.js';

const [folder, mode, threads, ...lengths] = process.argv.slice(2);
const say = (part: string, start: number) =>
  process.stdout.write(`${JSON.stringify({ part, seconds: (performance.now() - start) / 1000 })}\n`);

say('idle', performance.now());
// Lets the parent read the memory of an idle process.
await new Promise((resolve) => setTimeout(resolve, 300));
const start = performance.now();
const model = openModel(folder);
const { sink, runtime } = createWeights(model, { mode: mode as WeightMode });
const options = { threads: Number(threads), device: 'cpu', ...runtime };
const transformer = await Transformer.create(model.spec, model.weights, sink, options);
sink.close?.();
say('load', start);
await new Promise((resolve) => setTimeout(resolve, 300));

async function run(tokens: number): Promise<void> {
  const { spec } = transformer;
  const positions = Int32Array.from({ length: tokens }, (_, i) => i);
  const past = () => ({ keys: new Float32Array(0), values: new Float32Array(0), capacity: 0 });
  const batch = new Batch(spec, [{ start: 0, count: tokens, positions, visibility: CAUSAL, past }]);
  let residual = transformer.embed(positions);
  for (let block = 0; block < spec.nLayers; block++)
    residual = (await transformer.runBlock(block, batch, residual)).residual;
  await transformer.runHead(residual.slice(-spec.dModel), new BigInt64Array(1));
}

for (const tokens of lengths.map(Number)) {
  const began = performance.now();
  await run(tokens);
  say(`${tokens} tokens`, began);
}
await transformer.close();
