// Holds `gossamer harmony` against the reference library.
//
//   node compare.mjs path/to/gossamer path/to/o200k_base.tiktoken [--seed N] [--count N]
//
// Renders and parses `count` random conversations and streams each. Exits with 1 after the first differences
// and prints them, with the seed that shows them again.
//
// npm openai-harmony 0.4.0 holds an older version of the library than the one that gossamer follows (0.0.8).
// The versions differ in two things that streams here can show, and asReference8 translates them:
//
// * Words left over in a header: [DIFFERENCE 1] 0.4.0 lists them, ["a", "b"]; 0.0.8 joins them, Some("a b").
// * Content that is not UTF-8: [DIFFERENCE 2] 0.4.0 leaves out everything from the first such byte, or from a
//   character cut by the end of the message; 0.0.8 puts U+FFFD in its place. Such content is not compared.
import assert from 'node:assert';
import {parseArgs} from 'node:util';

import {Random, randomConversation, StreamMaker} from './random.mjs';
import {loadReference, runLines} from './reference.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {seed: {type: 'string', default: '1'}, count: {type: 'string', default: '4000'}},
});
const [program, vocabulary] = positionals;
if (!vocabulary) throw new Error('usage: node compare.mjs path/to/gossamer path/to/o200k_base.tiktoken [--seed N] [--count N]');
const random = new Random(Number(values.seed));
const count = Number(values.count);
const reference = await loadReference(vocabulary);
let failures = 0;

function check(what, input, actual, expected) {
  try {
    assert.deepStrictEqual(actual, expected);
  } catch {
    if (++failures > 5) return;
    console.log(`DIFFERENT ${what}: ${JSON.stringify(input)}`);
    console.log(`  gossamer  ${JSON.stringify(actual)}\n  reference ${JSON.stringify(expected)}`);
  }
}

async function compareRendering(options, conversations) {
  const flags = ['render'];
  if (options.keepAnalysis) flags.push('--keep-analysis');
  if (!options.completion) flags.push('--no-completion');
  const actual = await runLines(program, flags, conversations);
  let errors = 0;
  conversations.forEach((conversation, i) => {
    const expected = reference.render(conversation, options);
    if (expected.error) ++errors;
    check(flags.join(' '), conversation, actual[i], expected);
  });
  console.log(`${conversations.length} conversations, ${flags.join(' ')}: ${errors} of them errors`);
}

/** DIFFERENCE 1. The words stay as Rust escaped them. */
function asReference8(result) {
  const match = result.error?.match(/^(unexpected tokens remaining in message header: )\["(.*)"\]$/s);
  return match ? {error: `${match[1]}Some("${match[2].replaceAll('", "', ' ')}")`} : result;
}

/** DIFFERENCE 2: without the content of messages that hold U+FFFD. */
function withoutIllFormed(messages, actual) {
  return messages.map((message, i) => (actual[i]?.content.includes('\ufffd') ? {...message, content: '(not UTF-8)'} : message));
}

async function compareParsing(streams) {
  const actual = await runLines(program, ['parse', '--strict'], streams);
  let errors = 0;
  let masked = 0;
  streams.forEach((stream, i) => {
    const expected = asReference8(reference.parse(stream));
    if (expected.error) {
      ++errors;
      check('parse --strict', stream, {error: actual[i].error}, expected);
      return;
    }
    const messages = actual[i].messages;
    masked += messages.filter(message => message.content.includes('\ufffd')).length;
    check(
      'parse --strict', stream,
      {messages: withoutIllFormed(messages, messages), error: actual[i].error},
      {messages: withoutIllFormed(expected.messages, messages), error: undefined},
    );
  });
  console.log(`${streams.length} streams, parse --strict: ${errors} of them errors, ${masked} messages not UTF-8`);
}

for (const keepAnalysis of [false, true]) {
  for (const completion of [false, true]) {
    const conversations = Array.from({length: Math.ceil(count / 4)}, () => randomConversation(random));
    await compareRendering({keepAnalysis, completion}, conversations);
  }
}
const maker = new StreamMaker(random, reference.encode);
await compareParsing(Array.from({length: count}, () => maker.stream()));
console.log(`${failures} differences (seed ${values.seed})`);
process.exit(failures === 0 ? 0 : 1);
