// Runs ONNX graphs in a stock ONNX Runtime: run.mjs FOLDER JOBS.json, where FOLDER has node_modules.
// A job is {"path", "rows", "tokens", "columns", "type"}: PATH.onnx is run on every [tokens, columns] of ROWS.rows, numbers
// in float64, and must give those of ROWS.rows_out. Prints the list of how many inputs of each job did not.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [folder, jobs] = process.argv.slice(2);
const { InferenceSession, Tensor } = createRequire(`${folder}/`)("onnxruntime-node");
const numbers = (path) => new Float64Array(new Uint8Array(readFileSync(path)).buffer);

const different = [];
for (const { path, rows: file, tokens, columns, type } of JSON.parse(readFileSync(jobs))) {
  const session = await InferenceSession.create(`${path}.onnx`, { intraOpNumThreads: 1, interOpNumThreads: 1 });
  const all = numbers(`${file}.rows`), expected = numbers(`${file}.rows_out`);
  const size = tokens * columns, inputs = all.length / size, sizeOut = expected.length / inputs;
  let wrong = 0;
  for (let i = 0; i < inputs; ++i) {
    const given = all.slice(i * size, (i + 1) * size);
    const rows = new Tensor(type, type === "float32" ? Float32Array.from(given) : given, [tokens, columns]);
    const { rows_out: { data } } = await session.run({ rows });
    const right = expected.subarray(i * sizeOut, (i + 1) * sizeOut);
    if (data.length !== sizeOut || !right.every((number, at) => number === data[at])) ++wrong;
  }
  different.push(wrong);
}
console.log(JSON.stringify(different));
