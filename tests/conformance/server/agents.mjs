// npm @openai/agents: an agent with a function tool finishes, over both APIs, streaming and not.
import assert from 'node:assert/strict';
import {test} from 'node:test';

import {Agent, OpenAIProvider, Runner, tool} from '@openai/agents';
import {z} from 'zod';

import {kPatience, startScripted} from './harness.mjs';
import {kAnswer, kDescription, kQuestion, kReport, kScript} from './weather.mjs';

for (const useResponses of [true, false]) {
  for (const stream of [false, true]) {
    const name = `${useResponses ? 'Responses' : 'Chat Completions'}, ${stream ? 'streaming' : 'not streaming'}`;
    test(`an agent calls its function and finishes: ${name}`, kPatience, async t => {
      const server = await startScripted(t, kScript);
      const cities = [];
      const getWeather = tool({
        name: 'get_weather',
        description: kDescription,
        parameters: z.object({city: z.string()}),
        execute: ({city}) => {
          cities.push(city);
          return kReport;
        },
      });
      const agent = new Agent({
        name: 'Forecaster', instructions: 'Answer questions on the weather.', model: 'gpt-oss-20b', tools: [getWeather],
        modelSettings: {reasoning: {effort: 'low'}},
      });
      const modelProvider = new OpenAIProvider({baseURL: server.baseURL, apiKey: 'none', useResponses});
      const runner = new Runner({modelProvider, tracingDisabled: true});
      const result = await runner.run(agent, kQuestion, {stream});
      if (stream) await result.completed;
      assert.equal(result.finalOutput, kAnswer);
      assert.deepEqual(cities, ['Paris']);
    });
  }
}
