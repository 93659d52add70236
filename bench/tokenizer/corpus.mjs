// Writes a corpus of mixed text to stdout: prose in many scripts, code, numbers, whitespace.
//
//   node bench/tokenizer/corpus.mjs [megabytes] > corpus.txt
//
// The words come from the vocabulary's own longer entries, so they are those of real text, and are put together
// with a seeded generator; a tenth are cut or joined, so that they are no single token.
import fs from 'node:fs';
import {fileURLToPath} from 'node:url';

import {Random} from '../../tests/conformance/tokenizer/random_text.mjs';

const vocabulary = fileURLToPath(new URL('../../data/o200k_base.tiktoken', import.meta.url));
const kScripts = ['Latin', 'Cyrillic', 'Han', 'Arabic', 'Devanagari', 'Hangul', 'Hiragana', 'Greek', 'Thai', 'Hebrew'];
const kShares = [24, 4, 3, 2, 2, 1, 1, 1, 1, 1];

// Scripts that put spaces between words; their short vocabulary entries are rather parts of words.
function isSpaced(script) {
  return !['Han', 'Hiragana', 'Thai'].includes(kScripts[script]);
}

function wordsByScript() {
  const words = kScripts.map(() => []);
  const tests = kScripts.map(script => new RegExp(`^ ?\\p{Script=${script}}[\\p{Script=${script}}\\p{M}]*$`, 'u'));
  for (const line of fs.readFileSync(vocabulary, 'latin1').split('\n')) {
    const text = Buffer.from(line.split(' ')[0], 'base64').toString();
    const script = tests.findIndex(test => test.test(text));
    if (script >= 0 && (!isSpaced(script) || text.length > 3)) words[script].push(text.trim());
  }
  return words;
}

// Common words have low ranks: draw like Zipf's law does.
function draw(random, words) {
  const u = random.below(1 << 24) / (1 << 24);
  return words[Math.floor(words.length ** u) - 1] ?? words[0];
}

function word(random, words) {
  const text = draw(random, words);
  switch (random.below(20)) {
    case 0:
      return text + draw(random, words);
    case 1:
      return text[0].toUpperCase() + text.slice(1);
    default:
      return text;
  }
}

function prose(random, words, space) {
  let text = '';
  for (let n = 20 + random.below(100); n > 0; --n) {
    text += word(random, words) + space;
    if (random.below(12) === 0) text = `${text.trimEnd()}${random.pick([', ', '. ', '; ', '! ', ' – ', ".\n", " it's "])}`;
    if (random.below(40) === 0) text += `${random.below(100000)} `;
  }
  return `${text}\n\n`;
}

function code(random, words) {
  const name = () => `${draw(random, words)}${random.pick(['', '_', 'Of', '2'])}${draw(random, words)}`;
  let text = '';
  for (let n = 10 + random.below(20); n > 0; --n) {
    text += ' '.repeat(2 * random.below(6));
    text += random.pick([
      () => `for (int i = 0; i < ${name()}.size(); ++i) {\n`,
      () => `const auto ${name()} = ${name()}(${name()}, 0x${random.next().toString(16)});\n`,
      () => `return ${name()}->${name()} != nullptr ? "${name()}" : '';\n`,
      () => `// ${name()} ${name()}: ${random.below(1e6)} https://${name()}.org/${name()}\n`,
      () => `}\r\n\n\t\t\n`,
    ])();
  }
  return text;
}

/** About `size` bytes of it, as a Buffer. */
export function makeCorpus(size, seed = 1) {
  const random = new Random(seed);
  const words = wordsByScript();
  const scripts = kShares.flatMap((share, script) => Array(share).fill(script));
  const parts = [];
  for (let bytes = 0; bytes < size; bytes += parts.at(-1).length) {
    const script = random.pick(scripts);
    const text = random.below(4) === 0 ? code(random, words[0]) : prose(random, words[script], isSpaced(script) ? ' ' : '');
    parts.push(Buffer.from(text));
  }
  return Buffer.concat(parts).subarray(0, size);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  process.stdout.write(makeCorpus(Number(process.argv[2] ?? 10) * 1e6));
}
