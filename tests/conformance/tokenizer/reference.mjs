// The reference tokenizer, and the `gossamer tokenize` program, as functions from documents to token ids.
import {spawn} from 'node:child_process';
import {createRequire} from 'node:module';

const require = createRequire(import.meta.url);

/** npm tiktoken with the o200k_harmony vocabulary, as an object with encode functions. */
export function loadReference() {
  const {Tiktoken} = require('tiktoken');
  const base = require('tiktoken/encoders/o200k_base.json');
  const named = {
    199998: 'startoftext', 199999: 'endoftext', 200002: 'return', 200003: 'constrain', 200005: 'channel',
    200006: 'start', 200007: 'end', 200008: 'message', 200012: 'call',
  };
  const specials = {};
  for (let id = 199998; id <= 201087; ++id) specials[`<|${named[id] ?? `reserved_${id}`}|>`] = id;
  return new Tiktoken(base.bpe_ranks, specials, base.pat_str);
}

/** Bytes as a program that reads text sees them: ill-formed UTF-8 becomes U+FFFD. */
export function asText(bytes) {
  return new TextDecoder('utf-8', {ignoreBOM: true}).decode(bytes);
}

/** What `program tokenize ...flags` writes when it reads `input`; a non-zero exit throws. */
export function run(program, flags, input) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['tokenize', ...flags], {stdio: ['pipe', 'pipe', 'inherit']});
    const chunks = [];
    child.stdout.on('data', chunk => chunks.push(chunk));
    child.on('error', reject);
    child.on('close', code => {
      if (code === 0) resolve(Buffer.concat(chunks));
      else reject(new Error(`${program} tokenize ${flags.join(' ')}: exit status ${code}`));
    });
    child.stdin.on('error', reject);
    child.stdin.end(input);
  });
}

/** The ids of each document (Buffers without NUL bytes), by one run of the program. */
export async function tokenizeAll(program, flags, documents) {
  const input = Buffer.concat(documents.flatMap(document => [document, Buffer.from([0])]));
  const lines = (await run(program, ['--null', '--json', ...flags], input)).toString().split('\n');
  lines.pop();
  if (lines.length !== documents.length) {
    throw new Error(`${documents.length} documents in, ${lines.length} lines out`);
  }
  return lines.map(line => JSON.parse(line).tokens);
}
