// The cases of gpt-oss's compatibility test (tests/golden/gpt-oss/cases.jsonl), with its criteria: an agent of
// @openai/agents has one tool, the model calls it as expected and answers. Over both APIs, streaming and not.
import assert from 'node:assert/strict';
import {readFileSync} from 'node:fs';
import {test} from 'node:test';

import {Agent, OpenAIProvider, Runner, tool} from '@openai/agents';
import Ajv from 'ajv';
import OpenAI from 'openai';

import {call, kPatience, parseEvents, say, startScripted, think, turn} from './harness.mjs';
import {kTools} from './gpt_oss_tools.mjs';

const kCases = readFileSync(new URL('../../golden/gpt-oss/cases.jsonl', import.meta.url), 'utf8')
  .trim().split('\n').map(line => JSON.parse(line));
const ajv = new Ajv();

/** The model calls the case's tool, and answers once it has seen the output. */
const script = kCases.flatMap(({tool_name, input, expected_arguments}) => [
  {match: input, text: turn(think('A tool helps here.'), call(`functions.${tool_name}`, expected_arguments))},
  {match: kTools[tool_name].output, text: turn(think('I have the output.'), say('Done.'))},
]);

/** Runs a case; gives what the agent said, the arguments of the calls, and the bodies of the HTTP answers. */
async function runCase(baseURL, {tool_name, input}, useResponses, stream) {
  const bodies = [];
  const recordingFetch = async (url, options) => {
    const response = await fetch(url, options);
    const body = await response.text();
    bodies.push(body);
    return new Response(body, {status: response.status, headers: response.headers});
  };
  const calls = [];
  const {description, parameters, output} = kTools[tool_name];
  const tested = tool({
    name: tool_name, description, parameters, strict: false,
    execute: args => {
      calls.push(args);
      return output;
    },
  });
  const openAIClient = new OpenAI({baseURL, apiKey: 'none', fetch: recordingFetch, maxRetries: 0});
  const modelProvider = new OpenAIProvider({openAIClient, useResponses});
  const agent = new Agent({name: 'Tester', instructions: 'Use the tool.', model: 'gpt-oss-20b', tools: [tested]});
  const runner = new Runner({modelProvider, tracingDisabled: true});
  const result = await runner.run(agent, input, {stream, maxTurns: 10});
  if (stream) await result.completed;
  return {answer: result.finalOutput, calls, bodies};
}

const kShapeChecks = {
  responses([first]) {
    const reasoning = JSON.parse(first).output.filter(item => item.type === 'reasoning').at(-1);
    assert.ok(reasoning.content.length > 0);
    assert.ok(reasoning.content.every(part => part.type === 'reasoning_text' && part.text));
  },
  responsesStream([first]) {
    const types = parseEvents(first).map(event => event.type);
    assert.ok(types.includes('response.reasoning_text.delta') && types.includes('response.reasoning_text.done'));
  },
  chat(bodies) {
    const completions = bodies.map(body => JSON.parse(body));
    assert.ok(completions.some(({choices: [{message}]}) => typeof message.reasoning === 'string' && message.reasoning));
  },
  chatStream([first]) {
    const chunks = parseEvents(first);
    assert.ok(chunks.some(chunk => chunk.choices?.[0]?.delta.reasoning));
  },
};

for (const useResponses of [true, false]) {
  for (const stream of [false, true]) {
    const kind = (useResponses ? 'responses' : 'chat') + (stream ? 'Stream' : '');
    test(`all cases: ${kind}`, kPatience, async t => {
      const server = await startScripted(t, script);
      for (const expected of kCases) {
        const {answer, calls, bodies} = await runCase(server.baseURL, expected, useResponses, stream);
        assert.equal(answer, 'Done.', expected.input);
        assert.deepEqual(calls, [JSON.parse(expected.expected_arguments)], expected.input);
        assert.ok(ajv.validate(kTools[expected.tool_name].parameters, calls[0]), expected.input);
        kShapeChecks[kind](bodies);
      }
    });
  }
}
