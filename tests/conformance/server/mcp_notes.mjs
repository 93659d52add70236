// An MCP server over stdin and stdout with one tool, "lookup".
import {createInterface} from 'node:readline';

const kLookup = {
  name: 'lookup',
  description: 'Looks up a note.',
  inputSchema: {type: 'object', properties: {key: {type: 'string'}}, required: ['key']},
};

const kMethods = {
  initialize: ({protocolVersion}) => ({
    protocolVersion, capabilities: {tools: {}}, serverInfo: {name: 'notes', version: '1.0.0'},
  }),
  ping: () => ({}),
  'tools/list': () => ({tools: [kLookup]}),
  'tools/call': ({arguments: {key}}) => ({content: [{type: 'text', text: `note ${key} is green-4711`}], isError: false}),
};

for await (const line of createInterface({input: process.stdin})) {
  const {id, method, params} = JSON.parse(line);
  if (id === undefined) continue;
  const answer = kMethods[method];
  const body = answer ? {result: answer(params ?? {})} : {error: {code: -32601, message: `no method ${method}`}};
  process.stdout.write(`${JSON.stringify({jsonrpc: '2.0', id, ...body})}\n`);
}
