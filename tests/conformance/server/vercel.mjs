// npm ai (Vercel AI SDK) with both providers: @ai-sdk/openai (Responses and Chat) and @ai-sdk/openai-compatible.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {createOpenAI} from '@ai-sdk/openai';
import {createOpenAICompatible} from '@ai-sdk/openai-compatible';
import {generateText, isStepCount, streamText, tool} from 'ai';
import {z} from 'zod';

import {kPatience, say, startDemo, startScripted, think, turn} from './harness.mjs';
import {kAnswer, kDescription, kQuestion, kReport, kScript} from './weather.mjs';

const kProviders = {
  'openai, Responses': baseURL => createOpenAI({baseURL, apiKey: 'none'}).responses,
  'openai, Chat Completions': baseURL => createOpenAI({baseURL, apiKey: 'none'}).chat,
  'openai-compatible': baseURL => createOpenAICompatible({name: 'gossamer', baseURL, apiKey: 'none'}),
};

async function generate(options) {
  const {text, steps, usage, finishReason} = await generateText(options);
  return {text, steps, usage, finishReason};
}

async function stream(options) {
  const errors = [];
  const result = streamText({...options, onError: ({error}) => errors.push(error)});
  let text = '';
  for await (const delta of result.textStream) text += delta;
  assert.deepEqual(errors, []);
  const [steps, usage, finishReason] = await Promise.all([result.steps, result.usage, result.finishReason]);
  return {text, steps, usage, finishReason};
}

for (const [name, connect] of Object.entries(kProviders)) {
  for (const ask of [generate, stream]) {
    test(`a question is answered: ${name}, ${ask.name}`, kPatience, async t => {
      const server = await startDemo(t);
      const {data} = await (await fetch(`${server.baseURL}/models`)).json();
      const model = connect(server.baseURL)(data[0].id);
      const {text, usage, finishReason} = await ask({model, prompt: 'What is 27 + 48?', temperature: 0, maxRetries: 0});
      assert.match(text, /75/);
      assert.equal(finishReason, 'stop');
      if (ask === generate || !name.startsWith('openai-compatible')) assert.ok(usage.outputTokens > 0);
    });

    test(`a tool is called and answered: ${name}, ${ask.name}`, kPatience, async t => {
      const server = await startScripted(t, kScript);
      const cities = [];
      const getWeather = tool({
        description: kDescription,
        inputSchema: z.object({city: z.string()}),
        execute: ({city}) => {
          cities.push(city);
          return kReport;
        },
      });
      const {text, steps} = await ask({
        model: connect(server.baseURL)('gpt-oss-20b'),
        instructions: 'Answer questions on the weather.',
        prompt: kQuestion,
        tools: {get_weather: getWeather},
        stopWhen: isStepCount(4),
        maxRetries: 0,
      });
      assert.ok(text.endsWith(kAnswer));
      assert.deepEqual(cities, ['Paris']);
      assert.equal(steps.length, 2);
    });
  }
}

// The provider sends what the server has stored as `item_reference`, by the id of the item alone.
test('an earlier answer reaches the model when the client refers to it: openai, Responses', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'Name a number', text: turn(think('Any number.'), say('I take 4711.'))},
    {match: 'I take 4711.', text: say('It was 4711.')},
  ]);
  const model = createOpenAI({baseURL: server.baseURL, apiKey: 'none'}).responses('gpt-oss-20b');
  const messages = [{role: 'user', content: 'Name a number.'}];
  const first = await generateText({model, messages, maxRetries: 0});
  messages.push(...first.response.messages, {role: 'user', content: 'Which was it?'});
  const second = await generateText({model, messages, maxRetries: 0});
  assert.equal(second.text, 'It was 4711.');
});
