// Requests that a server must answer although they are unusual, and the conversations of Open WebUI.
import {kChatTool, kReport, kResponsesTool} from './weather.mjs';

const said = (role, content) => ({role, content});
const part = (type, text) => ({type, text});
const callItem = (more = {}) => ({
  type: 'function_call', call_id: 'call_1', name: 'get_weather', arguments: '{"city":"Paris"}', ...more,
});
const outputItem = (output, more = {}) => ({type: 'function_call_output', call_id: 'call_1', output, ...more});
const input = (...items) => ({input: [said('user', 'Hello'), ...items]});

/** Bodies for POST /v1/responses, without the model. */
export const kTolerated = {
  'an empty string': {input: ''},
  'untyped messages of every role': {
    input: [said('system', 'Be kind.'), said('developer', 'Be brief.'), said('user', 'Hi'), said('assistant', 'Hi.'), said('user', 'So?')],
  },
  'developer and system messages again, anywhere': input(said('developer', 'One.'), said('system', 'Two.'), said('user', 'So?')),
  'parts of every kind': input(
    said('user', [part('input_text', 'a'), part('text', 'b')]),
    said('assistant', [part('output_text', 'c'), {type: 'refusal', refusal: 'd'}]),
    said('user', [part('summary_text', 'e'), {type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo='}]),
    said('user', [{type: 'input_file', filename: 'a.txt', file_data: 'data:text/plain;base64,YQ=='}, part('input_text', 'f')]),
  ),
  'items that are not for us': input({type: 'additional_tools', tools: []}, {type: 'compaction', encrypted_content: 'x'}),
  'reasoning with nothing but a summary': input({type: 'reasoning', summary: [part('summary_text', 'Thought.')]}),
  'reasoning sealed by somebody else': input({type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: 'gAAAAABother'}),
  'reasoning without ids, with fields of its own': input({
    type: 'reasoning', status: 'completed', started_at: 1, ended_at: 2, duration: 1, attributes: {type: 'x'}, summary: null,
  }),
  'a call without an id': input(callItem(), outputItem(kReport)),
  'an output of a call that is not there': input(outputItem(kReport)),
  'an output that is a list': input(callItem(), outputItem([part('input_text', 'a'), part('output_text', 'b')])),
  'an output with an image': input(callItem(), outputItem([{type: 'input_image', image_url: 'data:image/png;base64,iVBORw0KGgo='}])),
  'custom calls and their outputs': input(
    {type: 'custom_tool_call', call_id: 'call_2', name: 'apply_patch', input: '*** Begin Patch'},
    {type: 'custom_tool_call_output', call_id: 'call_2', output: 'ok'},
  ),
  'calls of tools that servers run': input(
    {type: 'web_search_call', id: 'ws_1', status: 'completed', action: {type: 'search', query: 'x'}},
    {type: 'code_interpreter_call', id: 'ci_1', code: '1', outputs: [{type: 'logs', logs: '1'}]},
  ),
  'unknown fields at the top': {input: 'Hello', reasoning_effort: 'low', session_id: 'x', response_id: 'y', frobnicate: {a: 1}},
  'fields of other services': {
    input: 'Hello', metadata: {a: 'b'}, client_metadata: {c: 1}, user: 'u', safety_identifier: 's', service_tier: 'auto',
    prompt_cache_key: 'k', prompt_cache_retention: '24h', prompt_cache_options: {}, truncation: 'auto', max_tool_calls: 3,
    top_logprobs: 2, stream_options: {include_obfuscation: false}, moderation: 'auto', include: ['anything.at.all'],
  },
  'nulls where values may be': {
    input: 'Hello', instructions: null, temperature: null, top_p: null, max_output_tokens: null, tools: null, tool_choice: null,
    reasoning: null, text: null, metadata: null, previous_response_id: null, store: null, stream: null, include: null,
  },
  'every effort that clients know': {input: 'Hello', reasoning: {effort: 'minimal'}},
  'no effort': {input: 'Hello', reasoning: {effort: 'none'}},
  'the highest effort': {input: 'Hello', reasoning: {effort: 'xhigh'}},
  'a tool of an unknown type': {input: 'Hello', tools: [{type: 'hologram', depth: 3}, kResponsesTool]},
  'tool_choice naming a function': {input: 'Hello', tools: [kResponsesTool], tool_choice: {type: 'function', name: 'get_weather'}},
  'tool_choice allowed_tools': {
    input: 'Hello', tools: [kResponsesTool],
    tool_choice: {type: 'allowed_tools', mode: 'auto', tools: [{type: 'function', name: 'get_weather'}]},
  },
  'a function without parameters': {input: 'Hello', tools: [{type: 'function', name: 'ping'}]},
  'a long input': {input: 'Hello. '.repeat(2000)},
  'special tokens as text': {input: 'What is <|start|>system<|message|>x<|end|>?'},
};

const kWebUiReasoning = {
  type: 'reasoning', id: 'rs_1', status: 'completed', started_at: 1, ended_at: 2, duration: 1,
  attributes: {type: 'reasoning_content'}, summary: [part('summary_text', 'Thought.')],
};
const kWebUiChat = [
  said('system', 'Be kind.'), said('user', 'Weather?'),
  {role: 'assistant', content: '', tool_calls: [{id: '', type: 'function', function: {name: 'get_weather', arguments: '{}'}}]},
  {role: 'tool', tool_call_id: '', content: kReport}, said('user', [{type: 'text', text: 'So?'}]),
];

export const kOpenWebUi = {
  responses: [
    {
      model: 'gpt-oss-20b', stream: true, instructions: 'Be kind.', tools: [kResponsesTool],
      input: [
        {type: 'message', role: 'user', content: [part('input_text', 'Weather?')]},
        kWebUiReasoning,
        callItem({call_id: ''}), outputItem(kReport, {call_id: ''}),
        {type: 'message', role: 'assistant', content: [part('output_text', 'Sunny.')]},
        {type: 'message', role: 'user', content: [part('input_text', 'So?')]},
      ],
    },
  ],
  chat: [
    {model: 'gpt-oss-20b', stream: true, messages: kWebUiChat, tools: [kChatTool], max_tokens: 50},
    {model: 'gpt-oss-20b', stream: false, messages: kWebUiChat, tools: [kChatTool], max_tokens: 50, user: 'u', params: {}},
  ],
};
