// The server as a program: who may call, how it stops, what it keeps, and what it does under load.
import assert from 'node:assert/strict';
import {execFileSync, spawn} from 'node:child_process';
import {readFileSync, readdirSync, writeFileSync} from 'node:fs';
import {get, request} from 'node:https';
import {join} from 'node:path';
import {test} from 'node:test';

import {residentMiB} from '../../../bench/server/measure.mjs';
import {gossamer, kPatience, post, say, serverLoad, start, startDemo, startScripted, temporaryFolder} from './harness.mjs';

const kSum = {model: 'gpt-oss-20b', input: 'What is 27 + 48?'};

async function answered(url, body = kSum, headers = {}) {
  const response = await post(`${url}/v1/responses`, body, headers);
  return {status: response.status, headers: response.headers, body: await response.json()};
}

test('a key of the file is needed, except for health', kPatience, async t => {
  const file = join(temporaryFolder(t), 'keys');
  writeFileSync(file, '# keys\nalice k-alice-4711\nk-nameless-4712\n');
  const {url} = await startScripted(t, [], ['--api-key-file', file]);
  for (const key of [undefined, 'Bearer wrong', 'Bearer', 'Bearer alice']) {
    const {status, body} = await answered(url, kSum, key ? {authorization: key} : {});
    assert.equal(status, 401);
    assert.equal(body.error.code, 'invalid_api_key');
  }
  for (const key of ['k-alice-4711', 'k-nameless-4712']) {
    assert.equal((await answered(url, kSum, {authorization: `Bearer ${key}`})).status, 200);
  }
  assert.equal((await fetch(`${url}/health`)).status, 200);
  assert.equal((await fetch(`${url}/metrics`)).status, 401);
});

test('a stored response is for the key that made it', kPatience, async t => {
  const file = join(temporaryFolder(t), 'keys');
  writeFileSync(file, 'alice k-alice\nbob k-bob\n');
  const {url} = await startScripted(t, [], ['--api-key-file', file]);
  const {body: {id}} = await answered(url, kSum, {authorization: 'Bearer k-alice'});
  const status = async key => (await fetch(`${url}/v1/responses/${id}`, {headers: {authorization: `Bearer ${key}`}})).status;
  assert.equal(await status('k-alice'), 200);
  assert.equal(await status('k-bob'), 404);
});

test('an address that others can reach is refused without a key, unless told', kPatience, async t => {
  await assert.rejects(startScripted(t, [], ['--host', '0.0.0.0']), /--api-key-file.*--allow-without-key/s);
  const {url} = await startScripted(t, [], ['--host', '0.0.0.0', '--allow-without-key']);
  assert.equal((await answered(url.replace('0.0.0.0', '127.0.0.1'))).status, 200);
});

test('pages of an allowed origin may call, others may not', kPatience, async t => {
  const {url} = await startScripted(t, [], ['--cors-origin', 'http://localhost:3000']);
  const ask = origin =>
    fetch(`${url}/v1/responses`, {
      method: 'OPTIONS',
      headers: {origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type'},
    });
  const allowed = await ask('http://localhost:3000');
  assert.ok(allowed.ok);
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'http://localhost:3000');
  assert.match(allowed.headers.get('access-control-allow-headers'), /authorization/i);
  assert.equal((await ask('http://evil.example')).headers.get('access-control-allow-origin'), null);
  const {headers} = await answered(url, kSum, {origin: 'http://localhost:3000'});
  assert.equal(headers.get('access-control-allow-origin'), 'http://localhost:3000');
});

test('what a page of another origin sends is not acted on', kPatience, async t => {
  const {url} = await startScripted(t, []);
  assert.equal((await answered(url, kSum, {origin: 'http://evil.example'})).status, 403);
  assert.equal((await answered(url)).status, 200);
});

test('TLS with a certificate and a key from files', kPatience, async t => {
  const folder = temporaryFolder(t);
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1'];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2',
    '-keyout', key, '-out', certificate, ...subject], {stdio: 'ignore'});
  const {url} = await startScripted(t, [], ['--tls-certificate', certificate, '--tls-key', key]);
  assert.match(url, /^https:/);
  const ca = readFileSync(certificate);
  const status = await new Promise((resolve, reject) => {
    get(`${url}/v1/models`, {ca}, response => resolve(response.resume().statusCode)).on('error', reject);
  });
  assert.equal(status, 200);
  const text = await new Promise((resolve, reject) => {
    const headers = {'content-type': 'application/json'};
    const sent = request(`${url}/v1/responses`, {ca, method: 'POST', headers}, response => {
      let all = '';
      response.on('data', chunk => (all += chunk)).on('end', () => resolve(all));
    });
    sent.on('error', reject).end(JSON.stringify({...kSum, stream: true}));
  });
  assert.match(text, /response\.completed/);
  const health = await new Promise((resolve, reject) => {
    get(`${url}/health`, {ca}, response => resolve(response.resume().statusCode)).on('error', reject);
  });
  assert.equal(health, 200);
});

test('SIGTERM lets a stream end, and the program exits with 0', kPatience, async t => {
  const server = await startScripted(t, [{match: 'Talk', text: say('word '.repeat(20_000))}]);
  const response = await post(`${server.baseURL}/responses`, {...kSum, input: 'Talk', stream: true});
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value;
  server.kill('SIGTERM');
  for (let part; !(part = await reader.read()).done;) text = (text + part.value).slice(-100_000_000);
  assert.match(text, /event: response\.completed/);
  assert.equal(await server.ended, 0);
  await assert.rejects(fetch(`${server.url}/health`));
});

test('a terminal that closes stops the server as SIGTERM does, unless it was started not to mind', kPatience, async t => {
  const turns = [{match: 'Talk', text: say('word '.repeat(20_000))}];
  const server = await startScripted(t, turns);
  const response = await post(`${server.baseURL}/responses`, {...kSum, input: 'Talk', stream: true});
  server.kill('SIGHUP');
  assert.match(await response.text(), /event: response\.completed/);
  assert.equal(await server.ended, 0);
  assert.match(server.log(), /stopping signal=Hangup/);

  const flags = ['--port', '0', '--store', 'none'];
  const lasting = await start(t, 'sh', ['-c', 'trap "" HUP; exec "$@"', 'sh', gossamer, 'serve', ...flags]);
  lasting.kill('SIGHUP');
  assert.equal((await answered(lasting.url)).status, 200);
});

test('the KV cache is there before it fills, as large as it was asked to be', kPatience, async t => {
  const {url, pid} = await startDemo(t, ['--kv-cache-bytes', '400000000']);
  // A few answers fill a hundredth of it.
  while (residentMiB(pid) < 400_000_000 / 2 ** 20) await new Promise(resolve => setTimeout(resolve, 50));
  assert.equal((await answered(url)).status, 200);

  const tooMuch = startDemo(t, ['--kv-cache-bytes', `${2 ** 50}`]).then(server => server.ended.then(() => server.log()));
  assert.match(await tooMuch, /--kv-cache-bytes 1125899906842624: .* of memory are available/);
});

test('systemd is told when the model is loaded, and when the server stops', kPatience, async t => {
  const socket = join(temporaryFolder(t), 'notify');
  const code = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True: print(s.recv(4096).decode(), flush=True)
`;
  const listener = spawn('python3', ['-c', code, socket], {stdio: ['ignore', 'pipe', 'inherit']});
  t.after(() => listener.kill());
  let heard = '';
  let onHeard = () => {};
  listener.stdout.on('data', chunk => {
    heard += chunk;
    onHeard();
  });
  const hears = word => new Promise(resolve => (onHeard = () => heard.includes(word) && resolve())());
  await hears('bound');
  const server = await startDemo(t, [], {NOTIFY_SOCKET: socket});
  await hears('READY=1');
  assert.equal((await (await fetch(`${server.url}/health`)).json()).status, 'ok');
  server.kill('SIGTERM');
  await hears('STOPPING=1');
  assert.equal(await server.ended, 0);
});

test('stored responses survive kill -9', kPatience, async t => {
  const flags = ['--store', join(temporaryFolder(t), 'responses.sqlite')];
  const first = await startScripted(t, [], flags);
  const kept = [];
  for (let i = 0; i < 5; ++i) kept.push((await answered(first.url)).body);
  const underWay = Array.from({length: 20}, () => answered(first.url).catch(() => null));
  first.kill('SIGKILL');
  await first.ended;
  await Promise.all(underWay);
  const second = await startScripted(t, [], flags);
  for (const response of kept) {
    const found = await (await fetch(`${second.baseURL}/responses/${response.id}`)).json();
    assert.deepEqual(found.output, response.output);
  }
  assert.equal((await answered(second.url, {...kSum, previous_response_id: kept[0].id})).status, 200);
});

test('a conversation keeps the date of its first response', kPatience, async t => {
  const file = join(temporaryFolder(t), 'responses.sqlite');
  const first = await startScripted(t, [], ['--store', file]);
  const {body: {id}} = await answered(first.url);
  first.kill('SIGTERM');
  await first.ended;
  const noon = Date.UTC(2021, 4, 9, 12) / 1000;
  const code = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute("UPDATE responses SET created_at = ?", [int(sys.argv[2])]); c.commit()';
  execFileSync('python3', ['-c', code, file, `${noon}`]);
  const turns = Array.from({length: 2}, () => ({match: 'Current date: 2021-05-09', text: say('It is still May.')}));
  const second = await startScripted(t, turns, ['--store', file, '--store-max-age-days', '36500']);
  const {body: next} = await answered(second.url, {...kSum, previous_response_id: id});
  assert.equal(next.output.at(-1).content[0].text, 'It is still May.');
  const {body: last} = await answered(second.url, {...kSum, previous_response_id: next.id});
  assert.equal(last.output.at(-1).content[0].text, 'It is still May.');
  assert.notEqual((await answered(second.url)).body.output.at(-1).content[0].text, 'It is still May.');
});

test('a store that cannot be read is set aside, and the server serves', kPatience, async t => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'responses.sqlite'), 'This is no database. '.repeat(500));
  const {url} = await startScripted(t, [], ['--store', join(folder, 'responses.sqlite')]);
  const {body: {id}} = await answered(url);
  assert.equal((await fetch(`${url}/v1/responses/${id}`)).status, 200);
  const aside = readdirSync(folder).find(name => name.includes('.corrupt-'));
  assert.match(readFileSync(join(folder, aside), 'utf8'), /^This is no database/);
});

test('without a store responses are answered, and not found later', kPatience, async t => {
  const {url} = await startScripted(t, [], ['--store', 'none']);
  const {status, body} = await answered(url);
  assert.equal(status, 200);
  assert.equal((await fetch(`${url}/v1/responses/${body.id}`)).status, 404);
});

test('a full queue is a 429 that says when to come again', kPatience, async t => {
  const {url} = await startDemo(t, ['--max-sequences', '1', '--max-queue', '1']);
  const all = await Promise.all(Array.from({length: 12}, () => answered(url, {...kSum, store: false})));
  const busy = all.filter(({status}) => status === 429);
  assert.ok(busy.length > 0);
  assert.ok(busy.every(({headers, body}) => Number(headers.get('retry-after')) > 0 && body.error.type === 'rate_limit_error'));
  assert.ok(all.some(({status}) => status === 200));
  assert.ok(all.every(({status}) => status === 200 || status === 429));
});

test('a body of 100 MB is a 413, and the next request is answered', kPatience, async t => {
  const {url} = await startScripted(t, []);
  const big = `{"input": "${'x'.repeat(100 << 20)}"}`;
  // The server may answer and close before everything is sent.
  const status = await post(`${url}/v1/responses`, big).then(response => response.status, () => 'closed');
  assert.ok([413, 'closed'].includes(status), `${status}`);
  assert.equal((await answered(url)).status, 200);
});

test('the log names requests, and holds no prompt unless told', kPatience, async t => {
  for (const [flags, isLogged] of [[[], false], [['--log-prompts'], true]]) {
    const server = await startScripted(t, [], flags);
    const {headers} = await answered(server.url, {...kSum, input: 'A secret numbered 4711.'});
    assert.match(headers.get('x-request-id'), /^req_/);
    server.kill('SIGTERM');
    await server.ended;
    assert.ok(server.log().includes(headers.get('x-request-id')));
    assert.equal(server.log().includes('secret numbered 4711'), isLogged);
  }
});

const kPaths = JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')).paths;

test('every path of openapi.json is served, with just its methods', kPatience, async t => {
  const {url} = await startScripted(t, []);
  for (const [path, methods] of Object.entries(kPaths)) {
    const response = await fetch(url + path.replace('{id}', 'x'), {method: 'PATCH'});
    assert.equal(response.status, 405, path);
    const allowed = response.headers.get('allow').split(/, */).filter(method => !['HEAD', 'OPTIONS'].includes(method));
    assert.deepEqual(allowed.sort(), Object.keys(methods).map(method => method.toUpperCase()).sort(), path);
  }
});

const kMetrics = [
  'gossamer_requests_running', 'gossamer_requests_waiting', 'gossamer_kv_blocks_used{group="full"}',
  'gossamer_kv_blocks_used{group="sliding"}', 'gossamer_kv_blocks_total{group="full"}', 'gossamer_prompt_tokens_total',
  'gossamer_cached_prompt_tokens_total', 'gossamer_generated_tokens_total', 'gossamer_cancelled_requests_total',
  'gossamer_preemptions_total', 'gossamer_header_repairs_total', 'gossamer_time_to_first_token_seconds_bucket',
  'gossamer_inter_token_seconds_count', 'gossamer_http_connections',
  'gossamer_http_requests_total{path="/v1/responses",status="200"} 1',
];

test('metrics tell what was done', kPatience, async t => {
  const {url} = await startDemo(t);
  const {body: {usage}} = await answered(url);
  // A request is counted after its answer has gone out.
  const read = async () => (await fetch(`${url}/metrics`)).text();
  let text = await read();
  for (let i = 0; i < 200 && !kMetrics.every(name => text.includes(`\n${name}`)); ++i) text = await read();
  for (const name of kMetrics) assert.ok(text.includes(`\n${name}`), name);
  const generated = Number(text.match(/^gossamer_generated_tokens_total (\S+)$/m)[1]);
  assert.ok(generated >= usage.output_tokens && generated <= usage.output_tokens + 2, `${generated} of ${usage.output_tokens}`);
});

test('hang-ups at any moment leave nothing behind', kPatience, async t => {
  const server = await startDemo(t, ['--max-sequences', '8']);
  const load = spawn(serverLoad, [server.url, '--streams', '24', '--seconds', '5', '--hangups', '50', '--json']);
  let output = '';
  load.stdout.on('data', chunk => (output += chunk));
  load.stderr.on('data', chunk => (output += chunk));
  assert.equal(await new Promise(resolve => load.on('close', resolve)), 0, `${output}\n${server.log().slice(-2000)}`);
  assert.ok(JSON.parse(output).hung_up > 0);
});
