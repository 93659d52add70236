// How much of an agent's prompts is computed again.
//
//   node agent_trace.mjs URL [--turns N] [--words N] [--model NAME] [--key KEY] [--json]
//
// An agent's session: instructions and tools of about 8,000 tokens, and N questions, each with everything before it sent
// again, reasoning items included, as Codex does. Prints input and cached tokens of each turn, and the share of all
// prompt tokens after the first turn that were computed. Reasoning is dropped from the prompt once it was answered, so
// what the model wrote last is computed once more; the instructions never are.
import {parseArgs} from 'node:util';

import {agent, post, round} from './measure.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    turns: {type: 'string', default: '20'}, words: {type: 'string', default: '5000'}, model: {type: 'string', default: 'any'},
    key: {type: 'string'}, json: {type: 'boolean', default: false},
  },
});
const url = positionals[0]?.replace(/\/$/, '');
if (!url) throw new Error('usage: node agent_trace.mjs URL [--turns N] [--words N] [--model NAME] [--key KEY] [--json]');
const headers = values.key ? {authorization: `Bearer ${values.key}`} : {};

const kWords = ['read', 'the', 'file', 'before', 'you', 'change', 'it', 'and', 'run', 'its', 'tests', 'after', 'that'];
const instructions = Array.from(
  {length: Number(values.words)}, (_, i) => kWords[(i * 7) % kWords.length] + (i % 23 === 22 ? '.' : '')
).join(' ');
const tools = Array.from({length: 20}, (_, i) => ({
  type: 'function',
  name: `tool_${i}`,
  description: `Does the work of tool ${i} on a file, and tells what came of it.`,
  strict: false,
  parameters: {
    type: 'object',
    properties: {
      path: {type: 'string', description: 'Which file.'}, line: {type: 'integer', description: 'From which line on.'},
      mode: {type: 'string', enum: ['read', 'write', 'append'], description: 'What to do.'},
    },
    required: ['path'],
  },
}));

async function ask(input) {
  let text = '';
  const body = {model: values.model, instructions, tools, input, store: false, max_output_tokens: 200, temperature: 0};
  const status = await post(url, '/v1/responses', body, {headers, onData: chunk => (text += chunk)});
  if (status !== 200) throw new Error(`${status}: ${text}`);
  return JSON.parse(text);
}

const history = [];
const rows = [];
for (let turn = 0; turn < Number(values.turns); ++turn) {
  history.push({role: 'user', content: `What is ${10 + turn} + ${20 + turn}?`});
  const {output, usage} = await ask(history);
  history.push(...output);
  const call = output.find(item => item.type === 'function_call');
  if (call) history.push({type: 'function_call_output', call_id: call.call_id, output: 'done'});
  rows.push({turn: turn + 1, input_tokens: usage.input_tokens, cached_tokens: usage.input_tokens_details.cached_tokens, output_tokens: usage.output_tokens});
}
agent.destroy();
const later = rows.slice(1);
const total = later.reduce((sum, row) => sum + row.input_tokens, 0);
const cached = later.reduce((sum, row) => sum + row.cached_tokens, 0);
const recomputed_percent = round((100 * (total - cached)) / total, 2);
if (values.json) {
  console.log(JSON.stringify({rows, recomputed_percent}));
} else {
  console.log('turn  input  cached  output');
  for (const row of rows) {
    console.log([row.turn, row.input_tokens, row.cached_tokens, row.output_tokens].map((v, i) => `${v}`.padStart([4, 6, 7, 7][i])).join(' '));
  }
  console.log(`computed after the first turn: ${recomputed_percent} % of the prompt tokens`);
}
