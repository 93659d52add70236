// npm openai, Chat Completions, Completions and Models, with the helpers that check a stream's chunks.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import OpenAI from 'openai';

import {call, kPatience, say, startDemo, startScripted, think, turn} from './harness.mjs';
import {kAnswer, kChatTool, kQuestion, kReport, kScript} from './weather.mjs';

const connect = server => new OpenAI({baseURL: server.baseURL, apiKey: 'none', maxRetries: 0});
const demo = async (t, flags) => {
  const client = connect(await startDemo(t, flags));
  const model = (await client.models.list()).data[0].id;
  return {client, model};
};
const kSum = {messages: [{role: 'user', content: 'What is 27 + 48?'}], temperature: 0};

test('create answers with reasoning under both names, and usage', kPatience, async t => {
  const {client, model} = await demo(t);
  const completion = await client.chat.completions.create({model, ...kSum});
  assert.equal(completion.object, 'chat.completion');
  assert.match(completion.id, /^chatcmpl-/);
  const [choice] = completion.choices;
  assert.equal(choice.finish_reason, 'stop');
  assert.equal(choice.message.role, 'assistant');
  assert.match(choice.message.content, /75/);
  assert.equal(choice.message.refusal, null);
  assert.ok(choice.message.reasoning);
  assert.equal(choice.message.reasoning_content, choice.message.reasoning);
  const {usage} = completion;
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  assert.equal(typeof usage.prompt_tokens_details.cached_tokens, 'number');
  assert.equal(typeof usage.completion_tokens_details.reasoning_tokens, 'number');
});

test('the stream helper ends with the same message, and usage when asked', kPatience, async t => {
  const {client, model} = await demo(t);
  const whole = await client.chat.completions.create({model, ...kSum});
  const stream = client.chat.completions.stream({model, ...kSum, stream_options: {include_usage: true}});
  let text = '';
  stream.on('content', delta => (text += delta));
  const completion = await stream.finalChatCompletion();
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(completion.choices[0].message.content, text);
  assert.equal(completion.choices[0].finish_reason, 'stop');
  assert.equal((await stream.totalUsage()).completion_tokens, whole.usage.completion_tokens);
});

test('usage is not streamed unless asked for', kPatience, async t => {
  const {client, model} = await demo(t);
  const chunks = [];
  for await (const chunk of await client.chat.completions.create({model, ...kSum, stream: true})) chunks.push(chunk);
  assert.equal(chunks[0].choices[0].delta.role, 'assistant');
  assert.ok(chunks.every(chunk => !chunk.usage && chunk.choices.length === 1 && chunk.id === chunks[0].id));
  assert.equal(chunks.filter(chunk => chunk.choices[0].finish_reason).length, 1);
});

test('max_completion_tokens and max_tokens end with length', kPatience, async t => {
  const {client, model} = await demo(t);
  for (const limit of [{max_completion_tokens: 3}, {max_tokens: 3}]) {
    const completion = await client.chat.completions.create({model, ...kSum, ...limit});
    assert.equal(completion.choices[0].finish_reason, 'length');
    assert.equal(completion.usage.completion_tokens, 3);
  }
});

test('logprobs cover the answer, token by token', kPatience, async t => {
  const {client, model} = await demo(t);
  const body = {model, ...kSum, logprobs: true, top_logprobs: 2};
  const [whole] = (await client.chat.completions.create(body)).choices;
  const [streamed] = (await client.chat.completions.stream(body).finalChatCompletion()).choices;
  for (const choice of [whole, streamed]) {
    const {content} = choice.logprobs;
    const bytes = content.flatMap(token => token.bytes);
    assert.equal(Buffer.from(bytes).toString(), choice.message.content);
    assert.ok(content.every(token => token.logprob <= 0 && token.top_logprobs.length === 2));
  }
});

test('a stop text ends the answer before it', kPatience, async t => {
  const client = connect(await startScripted(t, [{match: 'Count', text: turn(think('Count.'), say('one two three four'))}]));
  const messages = [{role: 'user', content: 'Count'}];
  const body = {model: 'gpt-oss-20b', messages, stop: [' three']};
  const [choice] = (await client.chat.completions.create(body)).choices;
  assert.equal(choice.message.content, 'one two');
  assert.equal(choice.finish_reason, 'stop');
});

for (const isStreaming of [false, true]) {
  const way = isStreaming ? 'the stream helper' : 'create';
  const ask = async (client, body) => {
    const {completions} = client.chat;
    return isStreaming ? completions.stream(body).finalChatCompletion() : completions.create(body);
  };

  test(`a function is called and answered in two turns, with ${way}`, kPatience, async t => {
    const client = connect(await startScripted(t, kScript));
    const messages = [{role: 'user', content: kQuestion}];
    const body = {model: 'gpt-oss-20b', tools: [kChatTool]};
    const [first] = (await ask(client, {...body, messages})).choices;
    assert.equal(first.finish_reason, 'tool_calls');
    const [request] = first.message.tool_calls;
    assert.equal(request.type, 'function');
    assert.ok(request.id);
    assert.equal(request.function.name, 'get_weather');
    assert.deepEqual(JSON.parse(request.function.arguments), {city: 'Paris'});
    messages.push(first.message, {role: 'tool', tool_call_id: request.id, content: kReport});
    const [second] = (await ask(client, {...body, messages})).choices;
    assert.equal(second.message.content, kAnswer);
  });
}

for (const stream of [false, true]) {
  test(`runTools runs the function and finishes, ${stream ? 'streaming' : 'not streaming'}`, kPatience, async t => {
    const client = connect(await startScripted(t, kScript));
    const cities = [];
    const getWeather = {
      ...kChatTool.function,
      parse: JSON.parse,
      function: ({city}) => {
        cities.push(city);
        return kReport;
      },
    };
    const runner = client.chat.completions.runTools({
      model: 'gpt-oss-20b', stream, messages: [{role: 'user', content: kQuestion}],
      tools: [{type: 'function', function: getWeather}],
    });
    assert.equal(await runner.finalContent(), kAnswer);
    assert.deepEqual(cities, ['Paris']);
  });
}

test('tool_choice none hides the functions', kPatience, async t => {
  const client = connect(await startScripted(t, [{match: 'Looks up stock', text: call('functions.stock', {})}]));
  const stock = {name: 'stock', description: 'Looks up stock.', parameters: {type: 'object', properties: {}}};
  const body = {model: 'gpt-oss-20b', messages: [{role: 'user', content: 'Hi'}], tools: [{type: 'function', function: stock}]};
  const [hidden] = (await client.chat.completions.create({...body, tool_choice: 'none'})).choices;
  assert.equal(hidden.finish_reason, 'stop');
  const [shown] = (await client.chat.completions.create(body)).choices;
  assert.equal(shown.finish_reason, 'tool_calls');
});

test('a prompt that is too long is a 400 that names the field', kPatience, async t => {
  const {client, model} = await demo(t, ['--context', '1024']);
  const messages = [{role: 'user', content: 'word '.repeat(100_000)}];
  await assert.rejects(
    client.chat.completions.create({model, messages}),
    {status: 400, code: 'context_length_exceeded', param: 'messages'},
  );
});

test('wrong values are 400s that name the field', kPatience, async t => {
  const {client, model} = await demo(t);
  const wrong = [
    ['messages', {messages: 5}],
    ['messages[0].role', {messages: [{role: 'sorcerer', content: 'Hi'}]}],
    ['temperature', {...kSum, temperature: 'hot'}],
    ['max_completion_tokens', {...kSum, max_completion_tokens: -1}],
  ];
  for (const [param, body] of wrong) {
    await assert.rejects(client.chat.completions.create({model, ...body}), {status: 400, param});
  }
});

test('completions continue a text or token ids, with echo and logprobs', kPatience, async t => {
  const server = await startDemo(t);
  const client = connect(server);
  const model = (await client.models.list()).data[0].id;
  const body = {model, max_tokens: 4, temperature: 0};
  const text = await client.completions.create({...body, prompt: 'one two three', echo: true, logprobs: 2});
  assert.equal(text.object, 'text_completion');
  const [choice] = text.choices;
  assert.ok(choice.text.startsWith('one two three'));
  assert.equal(choice.finish_reason, 'length');
  assert.equal(text.usage.completion_tokens, 4);
  assert.equal(choice.logprobs.tokens.join(''), choice.text);
  assert.equal(choice.logprobs.tokens.length, choice.logprobs.token_logprobs.length);
  assert.equal(choice.logprobs.tokens.length, choice.logprobs.text_offset.length);
  assert.equal(choice.logprobs.token_logprobs[0], null);
  const tokenized = await fetch(`${server.url}/tokenize`, {
    method: 'POST', headers: {'content-type': 'application/json'}, body: JSON.stringify({text: 'one two three'}),
  });
  const {tokens} = await tokenized.json();
  const ids = await client.completions.create({...body, prompt: tokens, echo: true});
  assert.equal(ids.choices[0].text, choice.text);
});

test('a streamed completion is the same text', kPatience, async t => {
  const {client, model} = await demo(t);
  const body = {model, prompt: 'one two three', max_tokens: 8, temperature: 0};
  const whole = await client.completions.create(body);
  let text = '';
  let finish;
  for await (const chunk of await client.completions.create({...body, stream: true})) {
    text += chunk.choices[0].text;
    finish = chunk.choices[0].finish_reason ?? finish;
  }
  assert.equal(text, whole.choices[0].text);
  assert.equal(finish, whole.choices[0].finish_reason);
});

test('models are listed and retrieved, an unknown one is a 404', kPatience, async t => {
  const {client} = await demo(t, ['--served-model-name', 'first', '--served-model-name', 'org/second']);
  const {data} = await client.models.list();
  assert.equal(data[0].id, 'first');
  assert.ok(data.every(model => model.object === 'model' && model.created > 0 && model.owned_by));
  assert.equal((await client.models.retrieve('first')).id, 'first');
  assert.ok((await client.models.retrieve('org/second')).id);
  await assert.rejects(client.models.retrieve('third'), {status: 404});
});

test('a name that the server does not serve is answered, or refused as an unknown model', kPatience, async t => {
  const {client} = await demo(t);
  try {
    const completion = await client.chat.completions.create({model: 'somebody-else', ...kSum});
    assert.match(completion.choices[0].message.content, /75/);
  } catch (error) {
    assert.equal(error.status, 404);
    assert.equal(error.code, 'model_not_found');
    assert.equal(error.param, 'model');
  }
});
