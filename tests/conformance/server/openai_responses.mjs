// npm openai, Responses API. `responses.stream()` checks every event: an order, id or index that is not as
// OpenAI's is an exception.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import OpenAI from 'openai';

import {call, kPatience, say, startDemo, startScripted, think, turn} from './harness.mjs';
import {kAnswer, kQuestion, kReport, kResponsesTool, kScript} from './weather.mjs';

const connect = server => new OpenAI({baseURL: server.baseURL, apiKey: 'none', maxRetries: 0});
const demo = async (t, flags) => {
  const client = connect(await startDemo(t, flags));
  const model = (await client.models.list()).data[0].id;
  return {client, model};
};
const kSum = {input: 'What is 27 + 48?', temperature: 0};
const textOf = item => item.content.map(part => part.text).join('');

test('create answers with reasoning, a message and usage', kPatience, async t => {
  const {client, model} = await demo(t);
  const response = await client.responses.create({model, ...kSum, instructions: 'Be brief.', metadata: {run: '1'}});
  assert.equal(response.object, 'response');
  assert.equal(response.status, 'completed');
  assert.match(response.id, /^resp_/);
  assert.match(response.output_text, /75/);
  assert.deepEqual(response.metadata, {run: '1'});
  assert.equal(response.instructions, 'Be brief.');
  assert.equal(response.error, null);
  assert.equal(response.incomplete_details, null);
  const message = response.output.at(-1);
  assert.equal(message.type, 'message');
  assert.equal(message.role, 'assistant');
  assert.equal(message.status, 'completed');
  assert.deepEqual(message.content[0].annotations, []);
  const {usage} = response;
  assert.ok(usage.input_tokens > 0 && usage.output_tokens > 0);
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  assert.equal(typeof usage.input_tokens_details.cached_tokens, 'number');
  assert.equal(typeof usage.output_tokens_details.reasoning_tokens, 'number');
});

test('the stream helper accepts every event and ends with the same text', kPatience, async t => {
  const {client, model} = await demo(t);
  const stream = client.responses.stream({model, ...kSum});
  let text = '';
  const numbers = [];
  stream.on('response.output_text.delta', event => (text += event.delta));
  stream.on('event', event => numbers.push(event.sequence_number));
  const response = await stream.finalResponse();
  assert.equal(response.status, 'completed');
  assert.equal(response.output_text, text);
  assert.match(text, /75/);
  assert.deepEqual(numbers, numbers.map((_, i) => i));
});

test('plain iteration over a stream begins with created and ends with completed', kPatience, async t => {
  const {client, model} = await demo(t);
  const types = [];
  for await (const event of await client.responses.create({model, ...kSum, stream: true})) types.push(event.type);
  assert.equal(types[0], 'response.created');
  assert.equal(types[1], 'response.in_progress');
  assert.equal(types.at(-1), 'response.completed');
});

test('max_output_tokens ends a response as incomplete, streaming and not', kPatience, async t => {
  const {client, model} = await demo(t);
  const body = {model, ...kSum, max_output_tokens: 3};
  const whole = await client.responses.create(body);
  const streamed = await client.responses.stream(body).finalResponse();
  for (const response of [whole, streamed]) {
    assert.equal(response.status, 'incomplete');
    assert.deepEqual(response.incomplete_details, {reason: 'max_output_tokens'});
    assert.equal(response.usage.output_tokens, 3);
  }
});

test('reasoning effort and a JSON schema are accepted and echoed', kPatience, async t => {
  const {client, model} = await demo(t);
  const format = {
    type: 'json_schema', name: 'sum', strict: true,
    schema: {type: 'object', properties: {sum: {type: 'number'}}, required: ['sum'], additionalProperties: false},
  };
  const response = await client.responses.create({model, ...kSum, reasoning: {effort: 'low'}, text: {format}});
  assert.equal(response.reasoning.effort, 'low');
  assert.equal(response.text.format.type, 'json_schema');
  assert.deepEqual(response.text.format.schema, format.schema);
});

for (const isStreaming of [false, true]) {
  const way = isStreaming ? 'the stream helper' : 'create';
  const ask = (client, body) =>
    isStreaming ? client.responses.stream(body).finalResponse() : client.responses.create(body);

  test(`a function is called and answered in two turns, with ${way}`, kPatience, async t => {
    const client = connect(await startScripted(t, kScript));
    const body = {model: 'gpt-oss-20b', tools: [kResponsesTool], include: ['reasoning.encrypted_content'], store: false};
    const input = [{role: 'user', content: kQuestion}];
    const first = await ask(client, {...body, input});
    assert.deepEqual(first.output.map(item => item.type), ['reasoning', 'message', 'function_call']);
    const [reasoning, , request] = first.output;
    assert.equal(textOf(reasoning), 'I must look up the weather in Paris.');
    assert.ok(reasoning.encrypted_content);
    assert.equal(request.name, 'get_weather');
    assert.deepEqual(JSON.parse(request.arguments), {city: 'Paris'});
    assert.equal(new Set(first.output.map(item => item.id)).size, 3);
    input.push(...first.output, {type: 'function_call_output', call_id: request.call_id, output: kReport});
    const second = await ask(client, {...body, input});
    assert.equal(second.output_text, kAnswer);
  });

  test(`previous_response_id carries the conversation and the call, with ${way}`, kPatience, async t => {
    const client = connect(await startScripted(t, kScript));
    const body = {model: 'gpt-oss-20b', tools: [kResponsesTool]};
    const first = await ask(client, {...body, input: kQuestion});
    const request = first.output.find(item => item.type === 'function_call');
    const second = await ask(client, {
      ...body,
      previous_response_id: first.id,
      input: [{type: 'function_call_output', call_id: request.call_id, output: kReport}],
    });
    assert.equal(second.previous_response_id, first.id);
    assert.equal(second.output_text, kAnswer);
  });

  test(`a custom tool gets raw text, with ${way}`, kPatience, async t => {
    const script = [
      {match: 'Run it', text: turn(think('Run.'), call('functions.run_code', 'print("hi")\n'))},
      {match: 'printed 4711', text: say('It printed.')},
    ];
    const client = connect(await startScripted(t, script));
    const body = {model: 'gpt-oss-20b', tools: [{type: 'custom', name: 'run_code', description: 'Runs code.'}]};
    const first = await ask(client, {...body, input: 'Run it'});
    const request = first.output.at(-1);
    assert.equal(request.type, 'custom_tool_call');
    assert.equal(request.name, 'run_code');
    assert.equal(request.input, 'print("hi")\n');
    const output = {type: 'custom_tool_call_output', call_id: request.call_id, output: 'printed 4711'};
    const second = await ask(client, {...body, previous_response_id: first.id, input: [output]});
    assert.equal(second.output_text, 'It printed.');
  });

  test(`a function of a namespace comes back with both names, with ${way}`, kPatience, async t => {
    const client = connect(await startScripted(t, [{match: 'Look up x', text: call('mcp__notes.lookup', {key: 'x'})}]));
    const lookup = {
      type: 'function', name: 'lookup', description: 'Looks a note up.', strict: false,
      parameters: {type: 'object', properties: {key: {type: 'string'}}, required: ['key']},
    };
    const response = await ask(client, {
      model: 'gpt-oss-20b',
      input: 'Look up x',
      tools: [{type: 'namespace', name: 'mcp__notes', description: 'Notes.', tools: [lookup]}],
    });
    const request = response.output.at(-1);
    assert.equal(request.type, 'function_call');
    assert.equal(request.name, 'lookup');
    assert.equal(request.namespace, 'mcp__notes');
  });
}

test('a stored response is retrieved, its input listed, and deleted', kPatience, async t => {
  const {client, model} = await demo(t);
  const input = [{role: 'developer', content: 'Be brief.'}, {role: 'user', content: kSum.input}];
  const created = await client.responses.create({model, temperature: 0, input});
  const stored = await client.responses.retrieve(created.id);
  assert.deepEqual(stored.output, created.output);
  assert.deepEqual(stored.usage, created.usage);
  const items = [];
  for await (const item of client.responses.inputItems.list(created.id, {order: 'asc', limit: 1})) items.push(item);
  assert.deepEqual(items.map(item => [item.role, textOf(item)]), [['developer', 'Be brief.'], ['user', kSum.input]]);
  assert.ok(items.every(item => item.id));
  await client.responses.delete(created.id);
  await assert.rejects(client.responses.retrieve(created.id), OpenAI.NotFoundError);
});

test('a streamed response is stored too, and store: false is not', kPatience, async t => {
  const {client, model} = await demo(t);
  const streamed = await client.responses.stream({model, ...kSum}).finalResponse();
  assert.equal((await client.responses.retrieve(streamed.id)).output_text, streamed.output_text);
  const unstored = await client.responses.create({model, ...kSum, store: false});
  await assert.rejects(client.responses.retrieve(unstored.id), OpenAI.NotFoundError);
});

async function untilOver(client, id) {
  for (;;) {
    const response = await client.responses.retrieve(id);
    if (!['queued', 'in_progress'].includes(response.status)) return response;
    await new Promise(resolve => setTimeout(resolve, 20));
  }
}

test('a response in the background is polled until it is complete', kPatience, async t => {
  const {client, model} = await demo(t);
  const begun = await client.responses.create({model, ...kSum, background: true});
  assert.ok(['queued', 'in_progress'].includes(begun.status));
  assert.equal(begun.background, true);
  const done = await untilOver(client, begun.id);
  assert.equal(done.status, 'completed');
  assert.match(done.output_text, /75/);
});

test('a response in the background is cancelled, and only such a one', kPatience, async t => {
  // Slow enough that nothing is over before it is called off.
  const talk = [{match: 'Talk', text: say('word '.repeat(50_000))}];
  const client = connect(await startScripted(t, talk, [], {tokens_per_second: 500}));
  const begun = await client.responses.create({model: 'gpt-oss-20b', input: 'Talk', background: true});
  assert.equal((await client.responses.cancel(begun.id)).status, 'cancelled');
  assert.equal((await client.responses.retrieve(begun.id)).status, 'cancelled');
  const plain = await client.responses.create({model: 'gpt-oss-20b', input: 'Hello'});
  await assert.rejects(client.responses.cancel(plain.id), OpenAI.BadRequestError);
});

const rejected = async promise => {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('the request was not refused');
};

test('a prompt that is too long is a 400 that names the field', kPatience, async t => {
  const {client, model} = await demo(t, ['--context', '1024']);
  const input = 'word '.repeat(100_000);
  for (const stream of [false, true]) {
    const error = await rejected(client.responses.create({model, input, stream}));
    assert.equal(error.status, 400);
    assert.equal(error.code, 'context_length_exceeded');
    assert.equal(error.param, 'input');
    assert.match(error.message, /1024/);
  }
});

test('wrong values are 400s that name the field', kPatience, async t => {
  const {client, model} = await demo(t);
  const wrong = [
    ['input', {input: 5}],
    ['temperature', {...kSum, temperature: 'hot'}],
    ['max_output_tokens', {...kSum, max_output_tokens: -1}],
    ['previous_response_id', {...kSum, previous_response_id: 'resp_unknown'}],
    ['reasoning.effort', {...kSum, reasoning: {effort: 'frantic'}}],
  ];
  for (const [param, body] of wrong) {
    const error = await rejected(client.responses.create({model, ...body}));
    assert.equal(error.status, 400, param);
    assert.equal(error.param, param);
    assert.ok(error.message.length > 10);
  }
});

test('an unknown response is a 404, whatever is asked of it', kPatience, async t => {
  const {client} = await demo(t);
  const id = 'resp_unknown';
  const requests = [
    () => client.responses.retrieve(id), () => client.responses.delete(id), () => client.responses.cancel(id),
    () => client.responses.inputItems.list(id),
  ];
  for (const request of requests) assert.equal((await rejected(request())).status, 404);
});

test('tools that gossamer cannot run yet are a clear 400', kPatience, async t => {
  const {client, model} = await demo(t);
  for (const tool of [{type: 'web_search'}, {type: 'code_interpreter', container: {type: 'auto'}}]) {
    const error = await rejected(client.responses.create({model, ...kSum, tools: [tool]}));
    assert.equal(error.status, 400);
    assert.match(error.message, new RegExp(tool.type));
  }
});
