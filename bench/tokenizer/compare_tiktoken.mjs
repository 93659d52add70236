// Encodes 10 MB of mixed text with npm tiktoken (the reference, as WebAssembly) and with gossamer's tokenizer, in
// turns on this machine, checks that the ids are the same, and prints both rates and their ratio.
//
//   (cd tests/conformance/tokenizer && npm ci)
//   node bench/tokenizer/compare_tiktoken.mjs [build/release] [megabytes]
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import {loadReference, run} from '../../tests/conformance/tokenizer/reference.mjs';
import {makeCorpus} from './corpus.mjs';

const build = process.argv[2] ?? 'build/release';
const corpus = makeCorpus(Number(process.argv[3] ?? 10) * 1e6);
const text = new TextDecoder('utf-8', {ignoreBOM: true}).decode(corpus);
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tokenizer-bench-'));
const file = path.join(folder, 'corpus.txt');
fs.writeFileSync(file, corpus);

function gossamerSeconds() {
  const flags = [file, '--benchmark_filter=encode/corpus', '--benchmark_format=json', '--benchmark_min_time=0.01'];
  const output = execFileSync(path.join(build, 'bench/tokenizer_bench'), flags, {stdio: ['ignore', 'pipe', 'ignore']});
  return JSON.parse(output).benchmarks[0].real_time / 1000;
}

const reference = loadReference();
let ids;
function tiktokenSeconds() {
  const start = performance.now();
  ids = reference.encode_ordinary(text);
  return (performance.now() - start) / 1000;
}

const kRounds = 3;
const seconds = {tiktoken: Infinity, gossamer: Infinity};
for (let round = 0; round < kRounds; ++round) {
  seconds.tiktoken = Math.min(seconds.tiktoken, tiktokenSeconds());
  seconds.gossamer = Math.min(seconds.gossamer, gossamerSeconds());
}
fs.rmSync(folder, {recursive: true});

const output = JSON.parse(await run(path.join(build, 'gossamer'), ['--json'], corpus));
if (output.tokens.length !== ids.length || !output.tokens.every((id, i) => id === ids[i])) {
  throw new Error('the two tokenizers do not agree on the corpus');
}
console.log(`${corpus.length / 1e6} MB, ${ids.length} tokens, the same from both; best of ${kRounds} rounds, one thread`);
for (const [name, time] of Object.entries(seconds)) {
  console.log(`${name.padEnd(9)} ${(corpus.length / 1e6 / time).toFixed(1).padStart(7)} MB/s ${(ids.length / 1e6 / time).toFixed(2).padStart(7)} M tokens/s`);
}
console.log(`ratio     ${(seconds.tiktoken / seconds.gossamer).toFixed(1).padStart(7)}`);
