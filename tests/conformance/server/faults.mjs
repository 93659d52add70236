// What goes wrong around the server: clients that are slow, gone or hostile, a full disk, a tool that hangs. The server
// stays up, and other requests are unharmed.
import assert from 'node:assert/strict';
import {readFileSync, writeFileSync} from 'node:fs';
import {connect} from 'node:net';
import {join} from 'node:path';
import {test} from 'node:test';

import {callWithText, kPatience, parseEvents, post, say, scriptedServer, start, startDemo, startScripted, temporaryFolder} from './harness.mjs';

const kSum = {model: 'gpt-oss-20b', input: 'What is 27 + 48?'};
const kHead = 'POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n';

async function answered(url, body = kSum, headers = {}) {
  const response = await post(`${url}/v1/responses`, body, headers);
  return {status: response.status, body: await response.json()};
}

/** A connection that has sent `text`, and whatever comes back. */
function open(t, url, text) {
  const {hostname, port} = new URL(url);
  const socket = connect({host: hostname, port, allowHalfOpen: true});
  socket.received = '';
  socket.on('data', chunk => (socket.received += chunk.toString('latin1'))).on('error', () => {});
  socket.gone = new Promise(resolve => socket.on('close', resolve));
  socket.write(text);
  t.after(() => socket.destroy());
  return socket;
}

/** What /metrics says of a name, once it is that, or after some seconds. */
async function metric(url, name, expected) {
  for (let i = 0; ; ++i) {
    const text = await (await fetch(`${url}/metrics`)).text();
    const value = Number(text.match(new RegExp(`^${name.replace(/[{}"]/g, '\\$&')} (\\S+)$`, 'm'))?.[1]);
    if (value === expected || i === 300) return value;
    await new Promise(resolve => setTimeout(resolve, 100));
  }
}

/** Nothing is computed for anybody, and only the connection that asks is there. */
async function isIdle(url) {
  assert.equal(await metric(url, 'gossamer_requests_running', 0), 0);
  assert.equal(await metric(url, 'gossamer_kv_blocks_used{group="full"}', 0), 0);
  assert.equal(await metric(url, 'gossamer_kv_blocks_used{group="sliding"}', 0), 0);
}

/** mulberry32: numbers in [0, 1). */
function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

test('hundreds of clients that send a byte at a time keep nobody waiting', kPatience, async t => {
  const {url} = await startDemo(t);
  const slow = Array.from({length: 300}, () => open(t, url, kHead));
  const drip = setInterval(() => slow.forEach(socket => socket.write('X')), 200);
  t.after(() => clearInterval(drip));
  for (let i = 0; i < 5; ++i) assert.equal((await answered(url)).status, 200);
  // A head must be there in 30 seconds, however slowly its bytes come.
  await Promise.all(slow.map(socket => new Promise(resolve => socket.on('end', resolve))));
  for (const socket of slow) assert.match(socket.received, /^HTTP\/1\.1 408 /);
  slow.forEach(socket => socket.destroy());
  await isIdle(url);
});

test('sockets that are half open or torn down in the middle leave nothing behind', kPatience, async t => {
  const {url} = await startDemo(t);
  const body = JSON.stringify({...kSum, stream: true, store: false});
  const whole = `${kHead}Content-Length: ${body.length}\r\n\r\n${body}`;
  const random = randomNumbers(11);
  for (let round = 0; round < 20; ++round) {
    const sockets = Array.from({length: 10}, () => open(t, url, whole.slice(0, 1 + Math.floor(random() * whole.length))));
    const complete = Array.from({length: 5}, () => open(t, url, whole));
    await new Promise(resolve => setTimeout(resolve, random() * 40));
    for (const socket of [...sockets, ...complete]) {
      const how = random();
      if (how < 0.3) socket.end();
      else if (how < 0.6) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
  assert.equal((await answered(url)).status, 200);
  await isIdle(url);
});

test('a client that reads nothing of its stream delays no other', kPatience, async t => {
  const {url} = await startScripted(t, [{match: 'Talk', text: say('word '.repeat(400_000))}]);
  const body = JSON.stringify({...kSum, input: 'Talk', stream: true, store: false});
  const deaf = open(t, url, `${kHead}Content-Length: ${body.length}\r\n\r\n${body}`);
  deaf.pause();
  for (let i = 0; i < 20; ++i) assert.equal((await answered(url)).status, 200);
  deaf.destroy();
});

test('a full disk costs storing, not answering, and keeps what is there', kPatience, async t => {
  // No file of the server may pass 256 KiB: a write beyond that fails, as on a disk without room.
  const folder = temporaryFolder(t);
  const script = join(folder, 'script.json');
  writeFileSync(script, JSON.stringify({turns: [{text: say('The script has no turn for this prompt.')}]}));
  const command = `ulimit -f 256; exec "$0" "$@"`;
  const server = await start(t, 'bash', [
    '-c', command, scriptedServer, '--script', script, '--port', '0', '--store', join(folder, 'responses.sqlite'),
  ]);
  const first = (await answered(server.url)).body;
  for (let i = 0; i < 12; ++i) {
    const {status} = await answered(server.url, {...kSum, input: `${i}: ${'A long question. '.repeat(3000)}`});
    assert.equal(status, 200);
  }
  assert.match(server.log(), /response not stored/);
  assert.deepEqual((await (await fetch(`${server.url}/v1/responses/${first.id}`)).json()).output, first.output);
  assert.equal((await answered(server.url, {...kSum, previous_response_id: first.id})).status, 200);
  server.kill('SIGTERM');
  assert.equal(await server.ended, 0);
});

test('a damaged page of the store loses no answer and no service', kPatience, async t => {
  const file = join(temporaryFolder(t), 'responses.sqlite');
  const before = await startScripted(t, [], ['--store', file]);
  for (let i = 0; i < 30; ++i) assert.equal((await answered(before.url, {...kSum, input: `${i}: ${'word '.repeat(2000)}`})).status, 200);
  before.kill('SIGTERM');
  await before.ended;
  const bytes = readFileSync(file);
  const random = randomNumbers(5);
  for (let i = 4096; i < bytes.length; ++i) if (random() < 0.02) bytes[i] ^= 0xff;
  writeFileSync(file, bytes);
  const after = await startScripted(t, [], ['--store', file]);
  for (let i = 0; i < 5; ++i) {
    const {status, body} = await answered(after.url);
    assert.equal(status, 200);
    const found = await fetch(`${after.url}/v1/responses/${body.id}`);
    assert.ok([200, 404].includes(found.status), `${found.status}`);
  }
});

const kBodies = {
  '/v1/responses': {
    ...kSum, instructions: 'Be brief.', max_output_tokens: 4, temperature: 0.5, reasoning: {effort: 'low'}, metadata: {a: 'b'},
    input: [{role: 'user', content: [{type: 'input_text', text: 'What is 2 + 2?'}]}, {type: 'function_call_output', call_id: 'c', output: '4'}],
    tools: [{type: 'function', name: 'f', parameters: {type: 'object', properties: {x: {type: 'string'}}}}], tool_choice: 'auto',
  },
  '/v1/chat/completions': {
    model: 'x', max_tokens: 4, messages: [{role: 'system', content: 'Be brief.'}, {role: 'user', content: 'What is 2 + 2?'}],
    logprobs: true, top_logprobs: 2, stop: ['x'], response_format: {type: 'text'},
    tools: [{type: 'function', function: {name: 'f', parameters: {type: 'object'}}}],
  },
  '/v1/completions': {prompt: 'one two', max_tokens: 2, logprobs: 1, echo: true, stop: 'x', logit_bias: {5: 1}},
  '/tokenize': {prompt: 'one two'},
  '/detokenize': {tokens: [690, 1920]},
};

const kValues = [null, true, -1, 0, 1e308, 1.5, '', 'x', [], {}, [[]], {a: 1}, '\u0000', 2 ** 53, [null], '<|end|>'];

/** A copy of a value in which something is another value, gone, or there twice. */
function changed(value, random) {
  const pick = list => list[Math.floor(random() * list.length)];
  if (value === null || typeof value !== 'object' || random() < 0.15) return pick(kValues);
  const copy = Array.isArray(value) ? [...value] : {...value};
  const keys = Object.keys(copy);
  if (keys.length === 0) return pick(kValues);
  const key = pick(keys);
  const how = random();
  if (how < 0.1) Array.isArray(copy) ? copy.splice(Number(key), 1) : delete copy[key];
  else if (how < 0.2 && Array.isArray(copy)) copy.push(copy[key]);
  else if (how < 0.3) copy[pick(['input', 'n', 'stream', 'zzz'])] = pick(kValues);
  else copy[key] = changed(copy[key], random);
  return copy;
}

test('changed requests are answered, or refused with a reason', kPatience, async t => {
  const {url} = await startDemo(t);
  const random = randomNumbers(23);
  for (let i = 0; i < 600; ++i) {
    const [path, body] = Object.entries(kBodies)[i % 5];
    const sent = JSON.stringify(changed(body, random));
    const response = await post(url + path, sent);
    const text = await response.text();
    assert.ok(response.status === 200 || (response.status >= 400 && response.status < 500), `${response.status} to ${sent}: ${text}`);
    if (response.status !== 200) assert.ok(JSON.parse(text).error.message.length > 0, sent);
  }
  await isIdle(url);
});

test('bytes that are no JSON are a 400', kPatience, async t => {
  const {url} = await startDemo(t);
  const random = randomNumbers(29);
  for (let i = 0; i < 400; ++i) {
    const [path, body] = Object.entries(kBodies)[i % 5];
    const bytes = Buffer.from(JSON.stringify(body));
    const cut = random() < 0.5 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes;
    for (let k = 0; k < 3; ++k) cut[Math.floor(random() * cut.length)] = Math.floor(random() * 256);
    const response = await fetch(url + path, {method: 'POST', headers: {'content-type': 'application/json'}, body: cut});
    const text = await response.text();
    assert.ok(response.status === 200 || (response.status >= 400 && response.status < 500), `${response.status} to ${cut.toString('latin1')}`);
    if (response.status !== 200) assert.ok(JSON.parse(text).error.message.length > 0);
  }
  const deep = `{"input": ${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
  assert.equal((await post(`${url}/v1/responses`, deep)).status, 400);
  assert.equal((await answered(url)).status, 200);
});

test('what is not UTF-8 does not come back, nor stay in the store', kPatience, async t => {
  const {url} = await startScripted(t, []);
  const body = Buffer.concat([Buffer.from('{"model": "x", "input": "'), Buffer.from([0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80]), Buffer.from('"}')]);
  const response = await fetch(`${url}/v1/responses`, {method: 'POST', headers: {'content-type': 'application/json'}, body});
  const bytes = Buffer.from(await response.arrayBuffer());
  const text = new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  assert.ok([200, 400].includes(response.status));
  if (response.status === 200) {
    const items = await fetch(`${url}/v1/responses/${JSON.parse(text).id}/input_items`);
    new TextDecoder('utf-8', {fatal: true}).decode(Buffer.from(await items.arrayBuffer()));
  }
  assert.equal((await answered(url)).status, 200);
});

test('a tool that hangs holds up its own turn only', kPatience, async t => {
  const turns = Array.from({length: 12}, () => ({match: 'Wait', text: callWithText('stuck.wait', '{}')}));
  const {url} = await startScripted(t, turns, ['--stuck-tool']);
  const hangUp = new AbortController();
  const body = JSON.stringify({...kSum, input: 'Wait', stream: true});
  const waiting = Array.from({length: 12}, () =>
    fetch(`${url}/v1/responses`, {method: 'POST', headers: {'content-type': 'application/json'}, body, signal: hangUp.signal})
      .then(response => response.text())
      .catch(error => error.name));
  await new Promise(resolve => setTimeout(resolve, 500));
  // Stored, found again, continued: the store's threads are not the tools'.
  const {body: {id}} = await answered(url);
  assert.equal((await fetch(`${url}/v1/responses/${id}`)).status, 200);
  assert.equal((await answered(url, {...kSum, previous_response_id: id})).status, 200);
  hangUp.abort();
  assert.deepEqual(new Set(await Promise.all(waiting)), new Set(['AbortError']));
  assert.equal((await answered(url)).status, 200);
});

test('a tool that breaks is an answer for the model, and the server goes on', kPatience, async t => {
  const turns = [
    {match: 'the tool is broken', text: say('It broke.')},
    {match: 'Break', text: callWithText('stuck.break', '{}')},
  ];
  const {url} = await startScripted(t, turns, ['--stuck-tool']);
  const {status, body} = await answered(url, {...kSum, input: 'Break'});
  assert.equal(status, 200);
  assert.match(JSON.stringify(body.output), /It broke\./);
  assert.equal((await answered(url)).status, 200);
});

test('a stream that outlasts the drain ends with response.failed, a chunk of Chat Completions with an error', kPatience, async t => {
  const talk = {match: 'Talk', text: say('word '.repeat(2000))};
  const server = await startScripted(t, [talk, talk, talk], ['--drain-seconds', '1'], {tokens_per_second: 20});
  const responses = post(`${server.url}/v1/responses`, {...kSum, input: 'Talk', stream: true}).then(response => response.text());
  const chat = post(`${server.url}/v1/chat/completions`, {model: 'x', messages: [{role: 'user', content: 'Talk'}], stream: true})
    .then(response => response.text());
  const whole = answered(server.url, {...kSum, input: 'Talk'});
  await new Promise(resolve => setTimeout(resolve, 1000));
  server.kill('SIGTERM');
  const events = parseEvents(await responses);
  assert.equal(events.at(-1).type, 'response.failed');
  assert.equal(events.at(-1).response.status, 'failed');
  assert.match(events.at(-1).response.error.message, /stopping/);
  const chunks = parseEvents(await chat);
  assert.equal(chunks.at(-1), '[DONE]');
  assert.match(chunks.at(-2).error.message, /stopping/);
  assert.equal((await whole).status, 503);
  assert.equal(await server.ended, 0);
});
