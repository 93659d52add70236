// The rules of event streams that the strictest clients check, and those that lenient ones rely on.
import assert from 'node:assert/strict';

const kEnds = ['response.completed', 'response.incomplete', 'response.failed'];

/** Of each kind of item: its parts' kind, or the field that its text is in, and the events that fill it. */
const kTexts = {
  reasoning: {part: 'reasoning_text', events: 'response.reasoning_text', done: 'text'},
  message: {part: 'output_text', events: 'response.output_text', done: 'text'},
  function_call: {field: 'arguments', events: 'response.function_call_arguments', done: 'arguments'},
  custom_tool_call: {field: 'input', events: 'response.custom_tool_call_input', done: 'input'},
};

/** Checks the events of one output item, which follow each other, and returns the finished item. */
function checkItem(events, index) {
  const [added, ...rest] = events;
  const done = rest.pop();
  assert.equal(added.type, 'response.output_item.added');
  assert.equal(done.type, 'response.output_item.done');
  assert.equal(done.output_index, index);
  const {id, type} = added.item;
  assert.ok(id, 'an item has an id');
  assert.equal(added.item.status, 'in_progress');
  assert.deepEqual([done.item.id, done.item.type], [id, type]);
  assert.ok(['completed', 'incomplete'].includes(done.item.status));
  for (const event of rest) assert.deepEqual([event.item_id, event.output_index], [id, index], event.type);
  const kind = kTexts[type];
  assert.ok(kind, `an item of type ${type}`);
  if (kind.part) checkParts(rest, kind, added.item, done.item);
  else checkCall(rest, kind, added.item, done.item);
  return done.item;
}

function checkDeltas(events, kind) {
  const last = events.at(-1);
  const deltas = events.slice(0, -1);
  assert.ok(deltas.every(event => event.type === `${kind.events}.delta` && event.delta !== ''));
  assert.equal(last.type, `${kind.events}.done`);
  assert.equal(last[kind.done], deltas.map(event => event.delta).join(''));
  return last[kind.done];
}

function checkParts(events, kind, added, done) {
  assert.deepEqual(added.content, []);
  if (added.type === 'reasoning') assert.deepEqual(added.summary, []);
  if (events.length === 0) return;
  const [partAdded, ...texts] = events;
  const partDone = texts.pop();
  assert.equal(partAdded.type, 'response.content_part.added');
  assert.equal(partDone.type, 'response.content_part.done');
  assert.ok(events.every(event => event.content_index === 0));
  assert.equal(partAdded.part.type, kind.part);
  assert.equal(partAdded.part.text, '');
  const text = checkDeltas(texts, kind);
  assert.equal(partDone.part.text, text);
  assert.deepEqual(done.content, [partDone.part]);
  if (added.type !== 'message') return;
  assert.equal(added.role, 'assistant');
  assert.deepEqual(partAdded.part.annotations, []);
  assert.ok(texts.every(event => Array.isArray(event.logprobs)));
}

function checkCall(events, kind, added, done) {
  assert.equal(added[kind.field], '');
  assert.ok(added.call_id && added.name);
  assert.deepEqual([done.call_id, done.name, done.namespace], [added.call_id, added.name, added.namespace]);
  assert.equal(done[kind.field], checkDeltas(events, kind));
  if (added.type === 'function_call') assert.equal(events.at(-1).name, added.name);
}

const kResponseFields = [
  'id', 'object', 'created_at', 'status', 'model', 'output', 'parallel_tool_calls', 'tool_choice', 'tools', 'usage',
  'error', 'incomplete_details', 'instructions', 'metadata', 'temperature', 'top_p', 'previous_response_id',
];

/** Checks a Responses stream; returns its final response. */
export function checkResponseStream(events) {
  assert.deepEqual(events.map(event => event.sequence_number), events.map((_, i) => i));
  const [created, inProgress] = events;
  const end = events.at(-1);
  assert.equal(created.type, 'response.created');
  assert.equal(inProgress.type, 'response.in_progress');
  assert.ok(kEnds.includes(end.type), end.type);
  for (const {response} of [created, inProgress, end]) {
    for (const field of kResponseFields) assert.ok(field in response, `the response has ${field}`);
    assert.equal(response.id, created.response.id);
  }
  assert.deepEqual(created.response.output, []);
  assert.equal(end.response.status, end.type.slice('response.'.length));

  const items = [];
  let current = [];
  for (const event of events.slice(2, -1)) {
    if (event.type === 'response.in_progress') continue;
    current.push(event);
    if (event.type !== 'response.output_item.done') continue;
    items.push(checkItem(current, items.length));
    current = [];
  }
  assert.deepEqual(current, [], 'events of an item that did not end');
  assert.deepEqual(end.response.output, items);
  assert.equal(new Set(items.map(item => item.id)).size, items.length);
  return end.response;
}

/** Checks a Chat Completions stream, as parseEvents gives it; returns the deltas put together. */
export function checkChatStream(events) {
  assert.equal(events.at(-1), '[DONE]');
  const chunks = events.slice(0, -1);
  const usages = chunks.filter(chunk => chunk.usage);
  assert.ok(usages.length <= 1 && usages.every(chunk => chunk.choices.length === 0 && chunk === chunks.at(-1)));
  const choices = chunks.filter(chunk => !chunk.usage).map(chunk => chunk.choices[0]);
  assert.equal(choices[0].delta.role, 'assistant');
  assert.ok(chunks.every(chunk => chunk.object === 'chat.completion.chunk' && chunk.id === chunks[0].id));
  const finishes = choices.filter(choice => choice.finish_reason);
  assert.equal(finishes.length, 1);
  assert.equal(finishes[0], choices.at(-1));
  const calls = [];
  let content = '';
  let reasoning = '';
  for (const {delta} of choices) {
    content += delta.content ?? '';
    reasoning += delta.reasoning ?? '';
    assert.equal(delta.reasoning_content, delta.reasoning);
    for (const {index, id, type, function: part} of delta.tool_calls ?? []) {
      assert.equal(typeof index, 'number');
      if (index === calls.length) {
        assert.ok(id && part.name);
        assert.equal(type, 'function');
        calls.push({name: part.name, arguments: ''});
      }
      calls[index].arguments += part.arguments ?? '';
    }
  }
  return {content, reasoning, calls, finish: finishes[0].finish_reason, usage: usages[0]?.usage};
}
