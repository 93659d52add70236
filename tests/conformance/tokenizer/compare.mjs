// Holds `gossamer tokenize` against the reference tokenizer, npm tiktoken.
//
//   node compare.mjs path/to/gossamer [--seed N] [--documents N]
//
// Exits with 1 at the first differences and prints them, with the seed that shows them again.
import {parseArgs} from 'node:util';

import {randomDocument, Random} from './random_text.mjs';
import {asText, loadReference, run, tokenizeAll} from './reference.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {seed: {type: 'string', default: '1'}, documents: {type: 'string', default: '100000'}},
});
const [program] = positionals;
if (!program) throw new Error('usage: node compare.mjs path/to/gossamer [--seed N] [--documents N]');
const seed = Number(values.seed);
const reference = loadReference();
let failures = 0;

function fail(what, document, actual, expected) {
  if (++failures > 5) return;
  console.log(`DIFFERENT ${what}: ${JSON.stringify(asText(document).slice(0, 200))} (bytes ${document.toString('hex').slice(0, 200)})`);
  console.log(`  gossamer ${JSON.stringify(actual).slice(0, 400)}\n  tiktoken ${JSON.stringify(expected).slice(0, 400)}`);
}

function isSame(a, b) {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

async function compare(what, flags, documents, encode) {
  const before = failures;
  const actual = await tokenizeAll(program, flags, documents);
  documents.forEach((document, i) => {
    const expected = encode(asText(document));
    if (!isSame(actual[i], expected)) fail(what, document, actual[i], expected);
  });
  console.log(`${documents.length} documents, ${what}: ${failures - before} differences`);
  return actual;
}

/** Every scalar value but NUL, each before, inside and after words, digits, spaces and itself. */
function everyCodePoint() {
  const documents = [];
  const kPerDocument = 256;
  for (let first = 0; first < 0x110000; first += kPerDocument) {
    let text = '';
    for (let c = Math.max(first, 1); c < first + kPerDocument; ++c) {
      if (c >= 0xd800 && c <= 0xdfff) continue;
      const x = String.fromCodePoint(c);
      text += `${x}aB${x}b 1${x}2 ${x}${x} \n${x}'s `;
    }
    documents.push(Buffer.from(text));
  }
  return documents;
}

async function compareDecoding(documents, tokens) {
  const before = failures;
  const input = tokens.map(ids => `${ids.join(' ')}\0`).join('');
  const output = await run(program, ['--decode', '--null'], input);
  let begin = 0;
  for (const document of documents) {
    const end = output.indexOf(0, begin);
    const text = output.subarray(begin, end).toString();
    if (text !== asText(document)) fail('decoding', document, text, asText(document));
    begin = end + 1;
  }
  console.log(`${documents.length} documents, decoded again: ${failures - before} differences`);
}

async function compareNulBytes(random) {
  const document = Buffer.concat(Array.from({length: 200}, () => [randomDocument(random), Buffer.alloc(random.below(3))]).flat());
  const {tokens} = JSON.parse(await run(program, ['--json'], document));
  const expected = Array.from(reference.encode_ordinary(asText(document)));
  if (!isSame(tokens, expected)) fail('a document with NUL bytes', document, tokens, expected);
}

console.log(`seed ${seed}`);
const random = new Random(seed);
const documents = Array.from({length: Number(values.documents)}, () => randomDocument(random));
const ordinary = text => Array.from(reference.encode_ordinary(text));
const tokens = await compare('random text', [], documents, ordinary);
await compareDecoding(documents, tokens);
await compare('every code point', [], everyCodePoint(), ordinary);
await compare('special tokens allowed', ['--specials'], documents.slice(0, 20000), text => Array.from(reference.encode(text, 'all')));
await compareNulBytes(random);
if (failures > 0) {
  console.log(`${failures} differences; again: node compare.mjs ${program} --seed ${seed}`);
  process.exitCode = 1;
}
