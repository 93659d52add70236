// What HTTP, JSON, events and Harmony cost per token.
//
//   node overhead.mjs path/to/scripted_server [--streams N] [--words N] [--rate N] [--json]
//
// Starts the server with a script in the model's place, so that tokens cost nothing, streams from it with N users at a
// time over each API, and divides the processor time that the server took by the tokens. All users together get `rate`
// tokens a second, 0 for as many as go. `events_per_read` tells how many events came together: a server that has time
// sends each by itself. The kernel's part is mostly TCP, over loopback with the receiver's half.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {parseArgs} from 'node:util';

import {agent, eventReader, post, processorSeconds, round, seconds, sleep, table} from './measure.mjs';

const kTokensPerSecond = 2000;

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    streams: {type: 'string', default: '32'}, words: {type: 'string', default: '600'},
    rate: {type: 'string', default: `${kTokensPerSecond}`}, json: {type: 'boolean', default: false},
  },
});
const program = positionals[0];
if (!program) throw new Error('usage: node overhead.mjs path/to/scripted_server [--streams N] [--words N] [--rate N]');

/** Half of the words are reasoning, half the answer; they differ, as words do. */
function script() {
  const half = Number(values.words) / 2;
  const words = Array.from({length: half}, (_, i) => `${['the', 'quick', 'brown', 'fox', '“jumps”'][i % 5]} ${i % 10}`);
  const text = words.join(' ');
  const messages = ['analysis', 'final'].map(channel => `<|channel|>${channel}<|message|>${text}`);
  return {
    turns: [{text: `${messages.join('<|end|><|start|>assistant')}<|return|>`}],
    tokens_per_second: Number(values.rate) / Number(values.streams),
  };
}

async function start(folder) {
  const file = join(folder, 'script.json');
  writeFileSync(file, JSON.stringify(script()));
  const child = spawn(program, ['--script', file, '--port', '0', '--store', 'none'], {stdio: ['ignore', 'ignore', 'pipe']});
  let log = '';
  const url = await new Promise((resolve, reject) => {
    child.on('close', status => reject(new Error(`${program} ended with ${status}: ${log}`)));
    child.stderr.on('data', chunk => {
      log += chunk;
      const match = log.match(/listening on (\S+)\n/);
      if (match) resolve(match[1]);
    });
  });
  return {child, url};
}

const kBodies = {
  '/v1/responses': {model: 'any', stream: true, store: false, input: 'Hello'},
  '/v1/chat/completions': {
    model: 'any', stream: true, messages: [{role: 'user', content: 'Hello'}], stream_options: {include_usage: true},
  },
};

async function measure({child, url}, path) {
  const count = {tokens: 0, events: 0, reads: 0};
  const one = async () => {
    const read = eventReader(event => {
      ++count.events;
      const usage = event.usage ?? event.response?.usage;
      count.tokens += usage?.output_tokens ?? usage?.completion_tokens ?? 0;
    });
    const onData = chunk => {
      ++count.reads;
      read(chunk);
    };
    const status = await post(url, path, kBodies[path], {onData});
    if (status !== 200) throw new Error(`${path}: ${status}`);
  };
  const processor = processorSeconds(child.pid);
  const started = seconds();
  await Promise.all(Array.from({length: Number(values.streams)}, one));
  const elapsed = seconds() - started;
  const after = processorSeconds(child.pid);
  const microseconds = part => (1e6 * (after[part] - processor[part])) / count.tokens;
  const corePercent = taken => round((kTokensPerSecond * taken) / 1e4, 2);
  const [program, kernel] = [microseconds('program'), microseconds('kernel')];
  return {
    path, tokens: count.tokens, tokens_per_second: round(count.tokens / elapsed), events_per_read: round(count.events / count.reads),
    microseconds_per_token: round(program + kernel, 2),
    core_percent_at_2000_tokens_per_second: corePercent(program + kernel),
    of_these_in_the_program: corePercent(program), of_these_in_the_kernel: corePercent(kernel),
  };
}

const folder = mkdtempSync(join(tmpdir(), 'gossamer-'));
const server = await start(folder);
while (!(await fetch(`${server.url}/health`)).ok) await sleep(0.05);
for (const path of Object.keys(kBodies)) {
  const report = await measure(server, path);
  if (values.json) console.log(JSON.stringify(report));
  else console.log(`${table(Object.entries(report).map(([name, value]) => [name, `${value}`]))}\n`);
}
agent.destroy();
server.child.removeAllListeners('close');
server.child.kill('SIGTERM');
rmSync(folder, {recursive: true, force: true});
