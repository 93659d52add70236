// What clients were seen to send, sent again: Codex, the OpenAI SDKs, agents, Open WebUI. And the rules that their
// parsers hold a server to.
import assert from 'node:assert/strict';
import {request} from 'node:http';
import {test} from 'node:test';

import {call, callWithText, kPatience, parseEvents, post, preamble, say, startDemo, startScripted, think, turn} from './harness.mjs';
import {checkChatStream, checkResponseStream} from './stream_rules.mjs';
import {codexBody, kCodexHeaders, kApplyPatch, kNotes} from './replay_codex.mjs';
import {kOpenWebUi, kTolerated} from './replay_tolerated.mjs';
import {kChatTool, kQuestion, kReport, kResponsesTool, kScript} from './weather.mjs';

const respond = async (server, body, headers = {}) => {
  const response = await post(`${server.baseURL}/responses`, body, headers);
  const text = await response.text();
  assert.equal(response.status, 200, `${JSON.stringify(body).slice(0, 300)}: ${text}`);
  if (!body.stream) return JSON.parse(text);
  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  return checkResponseStream(parseEvents(text));
};
const textOf = response =>
  response.output.filter(item => item.type === 'message').at(-1).content.map(part => part.text).join('');
const user = text => ({type: 'message', role: 'user', content: [{type: 'input_text', text}]});

test('Codex: the first request of a session, with everything it carries', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'say hi', text: turn(think('They greet.'), preamble('One moment.'), call('functions.exec_command', {cmd: 'ls'}))},
  ]);
  const {output} = await respond(server, codexBody([]), kCodexHeaders);
  assert.deepEqual(output.map(item => item.type), ['reasoning', 'message', 'function_call']);
  assert.ok(output[0].encrypted_content);
  assert.equal(output[1].phase, 'commentary');
  assert.equal(output[2].name, 'exec_command');
});

test('Codex: every developer message reaches the model', kPatience, async t => {
  for (const match of ['You are a coding agent, first part.', '<skills_instructions>second part', 'say hi']) {
    const server = await startScripted(t, [{match, text: say('seen')}]);
    assert.equal(textOf(await respond(server, codexBody([]), kCodexHeaders)), 'seen', match);
  }
});

test('Codex: a query after the path, a key that nobody asked for, and other names of the model', kPatience, async t => {
  const server = await startScripted(t, []);
  const withQuery = await post(`${server.baseURL}/responses?api-version=1`, codexBody([]), kCodexHeaders);
  assert.equal(withQuery.status, 200);
  await withQuery.text();
  await respond(server, codexBody([]), {...kCodexHeaders, authorization: 'Bearer whatever'});
  for (const model of ['gpt-oss-20b', 'openai/gpt-oss-20b', 'gpt-oss:20b']) await respond(server, codexBody([], {model}));
});

test('Codex: the probe with an empty string', kPatience, async t => {
  const server = await startScripted(t, []);
  const response = await respond(server, {model: 'openai/gpt-oss-20b', input: '', max_output_tokens: 1});
  assert.equal(response.status, 'incomplete');
});

test('Codex: variants of reasoning, of the format, and an image', kPatience, async t => {
  const server = await startScripted(t, []);
  const schema = {type: 'object', properties: {a: {type: 'string'}}, required: ['a'], additionalProperties: false};
  const image = {type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo=', detail: 'high'};
  const variants = [
    {reasoning: {summary: 'auto'}},
    {reasoning: {effort: 'high', summary: 'detailed'}},
    {reasoning: null},
    {text: {format: {type: 'json_schema', strict: true, name: 'codex_output_schema', schema}}},
    {text: {verbosity: 'low'}},
  ];
  for (const variant of variants) await respond(server, codexBody([], variant), kCodexHeaders);
  const parts = [{type: 'input_text', text: '<image name=[Image #1]>'}, image, {type: 'input_text', text: '</image>'}];
  const body = codexBody([{type: 'message', role: 'user', content: parts}]);
  const response = await post(`${server.baseURL}/responses`, body, kCodexHeaders);
  assert.ok(response.status < 500, `${response.status}`);
  await response.text();
});

test('Codex: calls of custom and namespace tools, and their outputs', kPatience, async t => {
  const patch = '*** Begin Patch\n*** Add File: a\n+b\n*** End Patch\n';
  const server = await startScripted(t, [
    {match: 'say hi', text: turn(think('Patch.'), callWithText('functions.apply_patch', patch))},
    {match: 'Success. 4711', text: turn(think('Note.'), call('mcp__notes.lookup', {key: 'a'}))},
    {match: 'the note 4712', text: say('All done.')},
  ]);
  const tools = {tools: [...codexBody([]).tools, kApplyPatch, kNotes]};
  const history = [];
  const first = (await respond(server, codexBody(history, tools), kCodexHeaders)).output;
  assert.deepEqual([first[1].type, first[1].name, first[1].input], ['custom_tool_call', 'apply_patch', patch]);
  history.push(...first, {
    type: 'custom_tool_call_output', id: 'ctco_1', call_id: first[1].call_id, output: 'Exit code: 0\nSuccess. 4711',
  });
  const second = (await respond(server, codexBody(history, tools), kCodexHeaders)).output;
  assert.deepEqual([second[1].name, second[1].namespace], ['lookup', 'mcp__notes']);
  history.push(...second, {
    type: 'function_call_output', id: 'fco_1', call_id: second[1].call_id,
    output: [{type: 'input_text', text: 'Wall time: 0.1 seconds\nOutput:'}, {type: 'input_text', text: 'the note 4712'}],
  });
  assert.equal(textOf(await respond(server, codexBody(history, tools), kCodexHeaders)), 'All done.');
});

test('Codex: reasoning that is sent again after the answer does not reach the model', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'say hi', text: turn(think('A thought numbered 4711.'), say('Hi.'))},
    {match: 'thought numbered 4711', text: say('leaked')},
    {match: 'And now?', text: say('clean')},
  ]);
  const {output} = await respond(server, codexBody([]), kCodexHeaders);
  const history = [...output, user('And now?')];
  assert.equal(textOf(await respond(server, codexBody(history), kCodexHeaders)), 'clean');
});

test('Codex: reasoning before a call is kept, also when only its sealed form comes back', kPatience, async t => {
  for (const keep of [item => item, ({content, ...item}) => item]) {
    const server = await startScripted(t, [
      {match: kQuestion, text: turn(think('A thought numbered 4711.'), call('functions.get_weather', {city: 'Paris'}))},
      {match: 'thought numbered 4711', text: say('kept')},
    ]);
    const body = {model: 'gpt-oss-20b', tools: [kResponsesTool], store: false, include: ['reasoning.encrypted_content']};
    const {output} = await respond(server, {...body, input: [user(kQuestion)]});
    const result = {type: 'function_call_output', call_id: output.at(-1).call_id, output: kReport};
    const input = [user(kQuestion), keep(output[0]), output[1], result];
    assert.equal(textOf(await respond(server, {...body, input})), 'kept');
  }
});

test('Codex: a history that grows is taken from the prefix cache', kPatience, async t => {
  const server = await startDemo(t, ['--served-model-name', 'demo']);
  const history = [user(`${'Some words to fill the cache. '.repeat(40)}What is 27 + 48?`)];
  const body = () => ({model: 'demo', temperature: 0, store: false, stream: true, input: history});
  const first = await respond(server, body());
  history.push(...first.output, user('What is 30 + 12?'));
  const second = await respond(server, body());
  assert.ok(second.usage.input_tokens_details.cached_tokens > 0.8 * first.usage.input_tokens, JSON.stringify(second.usage));
});

test('Codex: a WebSocket is refused, and the connection goes on', kPatience, async t => {
  const server = await startScripted(t, []);
  const status = await new Promise((resolve, reject) => {
    const headers = {
      connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==', 'openai-beta': 'responses_websockets=2026-02-06',
    };
    const upgrade = request(`${server.baseURL}/responses`, {headers}, response => resolve(response.resume().statusCode));
    upgrade.on('error', reject).end();
  });
  assert.ok(status >= 400 && status < 500, `${status}`);
  await respond(server, {model: 'gpt-oss-20b', input: 'Hello'});
});

test('web_search is a 400 that names it, never a 500', kPatience, async t => {
  const server = await startScripted(t, []);
  const tools = [{type: 'web_search', external_web_access: true}];
  const response = await post(`${server.baseURL}/responses`, codexBody([], {tools}), kCodexHeaders);
  const {error} = await response.json();
  assert.equal(response.status, 400);
  assert.match(error.message, /web_search/);
});

const kStreams = {
  'reasoning and an answer': turn(think('Hm, so.'), say('An answer: ünïcödé, 👍🏽.')),
  'an answer alone': say('An answer.'),
  'a preamble and a call': turn(think('Hm.'), preamble('Let me look.'), call('functions.get_weather', {city: 'Paris'})),
  'a call on the analysis channel':
    '<|channel|>analysis to=functions.get_weather <|constrain|>json<|message|>{"city":"Paris"}<|call|>',
  'a recipient in the role part': ' to=functions.get_weather<|channel|>commentary json<|message|>{"city":"Paris"}<|call|>',
};
for (const [name, text] of Object.entries(kStreams)) {
  test(`the streams of both APIs follow the rules: ${name}`, kPatience, async t => {
    const server = await startScripted(t, [{match: kQuestion, text}, {match: kQuestion, text}, {match: kQuestion, text}]);
    const model = 'gpt-oss-20b';
    const body = {model, input: kQuestion, tools: [kResponsesTool]};
    const streamed = await respond(server, {...body, stream: true});
    const whole = await respond(server, body);
    assert.deepEqual(streamed.output.map(item => item.type), whole.output.map(item => item.type));
    const chatBody = {model, messages: [{role: 'user', content: kQuestion}], tools: [kChatTool], stream: true};
    const response = await post(`${server.baseURL}/chat/completions`, {...chatBody, stream_options: {include_usage: true}});
    const chat = checkChatStream(parseEvents(await response.text()));
    const calls = whole.output.filter(item => item.type === 'function_call');
    assert.deepEqual(chat.calls, calls.map(({name, arguments: args}) => ({name, arguments: args})));
    assert.equal(chat.finish, calls.length > 0 ? 'tool_calls' : 'stop');
    assert.ok(chat.usage.total_tokens > 0);
    assert.ok(!JSON.stringify([streamed, whole, chat]).includes('<|'));
  });
}

test('a stream that is cut by its limit ends with incomplete, in order', kPatience, async t => {
  const server = await startScripted(t, []);
  for (const max_output_tokens of [1, 2, 3, 4, 5, 6]) {
    const body = {model: 'gpt-oss-20b', input: 'Hello', stream: true, max_output_tokens};
    const response = await respond(server, body);
    assert.equal(response.incomplete_details.reason, 'max_output_tokens');
  }
});

test('a call that is cut by the limit is incomplete, not lost', kPatience, async t => {
  const text = call('functions.get_weather', {city: 'Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch'});
  const server = await startScripted(t, [{match: kQuestion, text}]);
  const body = {model: 'gpt-oss-20b', input: kQuestion, tools: [kResponsesTool], stream: true, max_output_tokens: 14};
  const response = await respond(server, body);
  assert.equal(response.status, 'incomplete');
  assert.deepEqual(response.output.map(item => [item.type, item.status]), [['function_call', 'incomplete']]);
});

test('two turns of a tool loop, streamed: the second has what the first said', kPatience, async t => {
  const server = await startScripted(t, kScript);
  const body = {model: 'gpt-oss-20b', tools: [kResponsesTool], stream: true};
  const first = await respond(server, {...body, input: [{role: 'user', content: kQuestion}]});
  const request_ = first.output.at(-1);
  const {id, ...withoutId} = request_;
  const output = {type: 'function_call_output', call_id: request_.call_id, output: kReport, status: 'completed'};
  const input = [{role: 'user', content: kQuestion}, ...first.output.slice(0, -1), withoutId, output];
  assert.match(textOf(await respond(server, {...body, input})), /sunny/);
});

test('whatever a client adds is tolerated', kPatience, async t => {
  const server = await startScripted(t, []);
  for (const [name, body] of Object.entries(kTolerated)) {
    const response = await post(`${server.baseURL}/responses`, {model: 'gpt-oss-20b', ...body});
    assert.equal(response.status, 200, `${name}: ${await response.text()}`);
    await response.arrayBuffer().catch(() => {});
  }
});

test('Open WebUI: its conversations over both APIs, and the list of models', kPatience, async t => {
  const server = await startScripted(t, []);
  for (const body of kOpenWebUi.responses) await respond(server, body);
  for (const body of kOpenWebUi.chat) {
    const response = await post(`${server.baseURL}/chat/completions`, body);
    const text = await response.text();
    assert.equal(response.status, 200, text);
    if (body.stream) checkChatStream(parseEvents(text));
  }
  const models = await (await fetch(`${server.baseURL}/models`)).json();
  assert.equal(models.object, 'list');
  assert.equal(models.data[0].id, 'gpt-oss-20b');
});

test('what is not JSON, not an object, or not there is a 4xx with an error object', kPatience, async t => {
  const server = await startScripted(t, []);
  const wrong = [
    ['POST', '/v1/responses', '{"model": "x", '], ['POST', '/v1/responses', '[]'], ['POST', '/v1/responses', ''],
    ['POST', '/v1/responses', '{}'], ['POST', '/v1/responses', '{"input": "\xff"'], ['POST', '/v1/chat/completions', '{}'],
    ['POST', '/v1/completions', '{}'], ['GET', '/v1/nothing'], ['PUT', '/v1/responses', '{}'], ['POST', '/api/generate', '{}'],
  ];
  for (const [method, path, body] of wrong) {
    const response = await fetch(server.url + path, {method, body, headers: {'content-type': 'application/json'}});
    const {error} = await response.json();
    assert.ok(response.status >= 400 && response.status < 500, `${method} ${path} ${body}: ${response.status}`);
    assert.equal(typeof error.message, 'string');
    assert.ok('type' in error && 'param' in error && 'code' in error);
  }
});

test('what Ollama\'s clients ask first is answered', kPatience, async t => {
  const server = await startScripted(t, []);
  const version = await (await fetch(`${server.url}/api/version`)).json();
  assert.match(version.version, /^\d+\.\d+\.\d+$/);
  const tags = await (await fetch(`${server.url}/api/tags`)).json();
  assert.ok(tags.models.some(model => model.name === 'gpt-oss:20b'));
});
