// Servers for the suites to talk to: real programs, each with a free port and a folder of its own.
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

export const [gossamer, scriptedServer, serverLoad] = process.argv.slice(2);
if (!serverLoad) throw new Error('usage: node SUITE.mjs path/to/gossamer path/to/scripted_server path/to/server_load');

/** Longer than any test takes on a machine that is busy with other things. */
export const kPatience = {timeout: 180_000};

/** A folder that is gone after the test. */
export function temporaryFolder(t) {
  const folder = mkdtempSync(join(tmpdir(), 'gossamer-'));
  t.after(() => rmSync(folder, {recursive: true, force: true}));
  return folder;
}

/**
 * Starts a program and waits until it listens. `ended` gives its exit status; a promise that is rejected, with its log,
 * means that it ended before.
 */
export async function start(t, program, args, env = {}) {
  const child = spawn(program, args, {stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, ...env}});
  let log = '';
  const ended = new Promise(resolve => child.on('close', (status, signal) => resolve(status ?? signal)));
  t.after(() => {
    child.kill('SIGTERM');
    return ended;
  });
  const url = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', status => reject(new Error(`${program} ended with ${status}: ${log}`)));
    child.stderr.on('data', chunk => {
      log += chunk;
      const match = log.match(/listening on (https?:\/\/\S+)\n/);
      if (match) resolve(match[1]);
    });
  });
  return {url, baseURL: `${url}/v1`, log: () => log, pid: child.pid, kill: signal => child.kill(signal), ended};
}

/** A free port, and a store of its own unless the flags name one. */
const commonFlags = (t, flags) =>
  flags.includes('--store')
    ? ['--port', '0', ...flags]
    : ['--port', '0', '--store', join(temporaryFolder(t), 'responses.sqlite'), ...flags];

/** `gossamer serve` with the demo model. */
export const startDemo = (t, flags = [], env = {}) => start(t, gossamer, ['serve', ...commonFlags(t, flags)], env);

/**
 * The same server, where a script speaks instead of a model. Each generation plays the first unused turn
 * whose `match` is in its prompt; when there is none, the turn without a `match`.
 */
export function startScripted(t, turns, flags = [], pace = {}) {
  const file = join(temporaryFolder(t), 'script.json');
  writeFileSync(file, JSON.stringify({...pace, turns: [...turns, {text: say('The script has no turn for this prompt.')}]}));
  return start(t, scriptedServer, [
    '--script', file, '--served-model-name', 'gpt-oss-20b', ...commonFlags(t, flags),
  ]);
}

/** What the model writes, in Harmony, after "<|start|>assistant". */
export const turn = (...messages) => messages.join('<|start|>assistant');
export const think = text => `<|channel|>analysis<|message|>${text}<|end|>`;
export const preamble = text => `<|channel|>commentary<|message|>${text}<|end|>`;
export const say = text => `<|channel|>final<|message|>${text}<|return|>`;
export const call = (recipient, args) =>
  `<|channel|>commentary to=${recipient} <|constrain|>json<|message|>${
    typeof args === 'string' ? args : JSON.stringify(args)}<|call|>`;
export const callWithText = (recipient, text) => `<|channel|>commentary to=${recipient}<|message|>${text}<|call|>`;

/** Posts a body as it is; an object becomes JSON. */
export const post = (url, body, headers = {}) =>
  fetch(url, {
    method: 'POST',
    headers: {'content-type': 'application/json', ...headers},
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

/** The data of an event stream, parsed; checks the framing. */
export function parseEvents(text) {
  const events = [];
  for (const block of text.split('\n\n')) {
    const lines = block.split('\n').filter(line => line !== '' && !line.startsWith(':'));
    if (lines.length === 0) continue;
    const field = name => lines.find(line => line.startsWith(`${name}: `))?.slice(name.length + 2);
    const data = field('data');
    if (data === undefined) throw new Error(`an event without data: ${block}`);
    if (data === '[DONE]') {
      events.push(data);
      continue;
    }
    const event = JSON.parse(data);
    if (field('event') !== undefined && field('event') !== event.type) {
      throw new Error(`event: ${field('event')} over data of type ${event.type}`);
    }
    events.push(event);
  }
  return events;
}
