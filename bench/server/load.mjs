// Many users at once, for a while.
//
//   node load.mjs URL [--streams N] [--seconds T] [--pid PID] [--hangups R] [--max-tokens N] [--key KEY]
//                     [--short] [--seed N] [--json]
//
// N users ask one question after another, of mixed lengths, over both APIs, streaming; with --hangups, R a second of
// their requests are hung up on at random moments (some before the first byte, some in mid-answer; a part of the
// requests does not stream), and at the end the server must have no sequence and no used block left. With --short, no
// question has a long preface: decoding is what is measured. With --pid, the server's memory is watched. Prints text, or
// JSON; exit status 1 when a request failed or something was left behind.
import {parseArgs} from 'node:util';

import {agent, eventReader, post, quantile, readMetrics, residentMiB, round, seconds, sleep, table} from './measure.mjs';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    streams: {type: 'string', default: '32'}, seconds: {type: 'string', default: '30'}, pid: {type: 'string'},
    hangups: {type: 'string', default: '0'}, 'max-tokens': {type: 'string', default: '200'}, key: {type: 'string'},
    short: {type: 'boolean', default: false}, seed: {type: 'string', default: '1'}, json: {type: 'boolean', default: false},
  },
});
const url = positionals[0]?.replace(/\/$/, '');
if (!url) throw new Error('usage: node load.mjs URL [--streams N] [--seconds T] [--pid PID] [--hangups R] [--json]');
const headers = values.key ? {authorization: `Bearer ${values.key}`} : {};
const numStreams = Number(values.streams);
const hangups = Number(values.hangups);
const maxTokens = Number(values['max-tokens']);

let state = Number(values.seed) >>> 0;
/** In [0, 1): mulberry32. */
function random() {
  state = (state + 0x6d2b79f5) >>> 0;
  let t = Math.imul(state ^ (state >>> 15), state | 1);
  t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}
const below = n => Math.floor(random() * n);

const result = {
  requests: 0, completed: 0, hung_up: 0, busy: 0, errors: [], tokens: 0, first: [], between: [], rss: [],
};

/** A question behind a preface of up to about a thousand tokens. */
function question() {
  const repeats = values.short ? 0 : below(2) * below(100);
  const preface = 'The following is a sum, and nothing else is asked. '.repeat(repeats);
  return `${preface}What is ${below(90) + 10} + ${below(90) + 10}?`;
}

function randomBody(useChat, stream) {
  const limit = 1 + below(maxTokens);
  const effort = ['low', 'medium', 'high'][below(3)];
  if (useChat) {
    return {
      model: 'any', stream, messages: [{role: 'user', content: question()}], max_tokens: limit, reasoning_effort: effort,
      stream_options: stream ? {include_usage: true} : undefined,
    };
  }
  return {
    model: 'any', stream, input: question(), max_output_tokens: limit, store: random() < 0.2, reasoning: {effort},
  };
}

/** Whether an event carries text of the model. */
const isText = event =>
  event.type
    ? event.type.endsWith('.delta')
    : event.choices.some(({delta}) => delta.content || delta.reasoning || delta.tool_calls);

/** One request. Its signal may end it at any moment. */
async function ask(signal) {
  const useChat = random() < 0.5;
  const stream = hangups === 0 || random() < 0.7;
  const started = seconds();
  let last = null;
  let usage = null;
  let failure = null;
  let text = '';
  const onEvent = event => {
    if (event.error || event.type === 'response.failed') failure = JSON.stringify(event);
    usage = event.usage ?? event.response?.usage ?? usage;
    if (!isText(event)) return;
    const now = seconds();
    (last === null ? result.first : result.between).push(now - (last ?? started));
    last = now;
  };
  const read = stream ? eventReader(onEvent) : () => {};
  const onData = chunk => {
    if (text.length < 2000) text += chunk;
    read(chunk);
  };
  const path = useChat ? '/v1/chat/completions' : '/v1/responses';
  const status = await post(url, path, randomBody(useChat, stream), {headers, signal, onData});
  if (status === 429) return void ++result.busy;
  if (status !== 200 || failure) throw new Error(`${status}: ${failure ?? text}`);
  if (stream && !usage) throw new Error(`a stream ended early: ${text}`);
  result.tokens += usage?.output_tokens ?? usage?.completion_tokens ?? 0;
  ++result.completed;
}

const underWay = new Set();
const deadline = seconds() + Number(values.seconds);

async function user() {
  while (seconds() < deadline) {
    const controller = new AbortController();
    underWay.add(controller);
    ++result.requests;
    try {
      await ask(controller.signal);
    } catch (error) {
      if (controller.signal.aborted) ++result.hung_up;
      else result.errors.push(error.message);
      if (!controller.signal.aborted) await sleep(0.05);
    }
    underWay.delete(controller);
  }
}

/** Hangs up on a random request, `hangups` times a second on average. */
async function hangUpNowAndThen() {
  while (hangups > 0 && seconds() < deadline) {
    await sleep((-Math.log(1 - random())) / hangups);
    const candidates = [...underWay];
    candidates[below(candidates.length)]?.abort();
  }
}

async function watchMemory() {
  while (values.pid && seconds() < deadline) {
    result.rss.push({at: seconds(), mib: residentMiB(values.pid)});
    await sleep(Math.max(0.2, Math.min(5, Number(values.seconds) / 50)));
  }
}

/** Growth since a third of the time was over: by then every cache is full. */
function memory() {
  const {rss} = result;
  if (rss.length < 3) return null;
  const warm = rss[Math.floor(rss.length / 3)].mib;
  const end = rss.at(-1).mib;
  const minutes = rss.filter(({at}, i) => i > 0 && Math.floor((at - rss[0].at) / 60) > Math.floor((rss[i - 1].at - rss[0].at) / 60));
  return {
    start_mib: round(rss[0].mib), warm_mib: round(warm), end_mib: round(end),
    growth_percent: round(100 * (end / warm - 1), 2), each_minute_mib: minutes.map(({mib}) => round(mib)),
  };
}

const kMustBeZero = [
  'gossamer_requests_running', 'gossamer_requests_waiting', 'gossamer_kv_blocks_used{group="full"}',
  'gossamer_kv_blocks_used{group="sliding"}',
];

/** What the server still holds when nobody asks any more; it has some seconds to notice. */
async function leftBehind() {
  const until = seconds() + 10;
  for (;;) {
    const metrics = await readMetrics(url, headers);
    const left = Object.fromEntries(kMustBeZero.map(name => [name, metrics.get(name) ?? 'missing']).filter(([, v]) => v !== 0));
    if (Object.keys(left).length === 0 || seconds() > until) return left;
    await sleep(0.1);
  }
}

const kGenerated = 'gossamer_generated_tokens_total';
const generatedSoFar = async () => (await readMetrics(url, headers)).get(kGenerated) ?? 0;
const before = await generatedSoFar();
const started = seconds();

/** Tokens a second while all streams are busy: not while the last answers come to their end. */
async function measureRate() {
  await sleep(deadline - seconds());
  return ((await generatedSoFar()) - before) / (seconds() - started);
}

const [tokensPerSecond] = await Promise.all([
  measureRate(), ...Array.from({length: numStreams}, user), hangUpNowAndThen(), watchMemory(),
]);
const elapsed = seconds() - started;
const left = await leftBehind();
const generated = (await generatedSoFar()) - before;
agent.destroy();

const milliseconds = (list, share) => {
  const value = quantile(list, share);
  return value === null ? null : round(1000 * value, 2);
};
const report = {
  streams: numStreams, seconds: round(elapsed), requests: result.requests, completed: result.completed,
  hung_up: result.hung_up, busy: result.busy, errors: result.errors.length, first_errors: result.errors.slice(0, 5),
  tokens: result.tokens, generated_tokens: generated, tokens_per_second: round(tokensPerSecond), requests_per_second: round(result.completed / elapsed),
  ttft_ms: {p50: milliseconds(result.first, 0.5), p99: milliseconds(result.first, 0.99)},
  inter_token_ms: {p50: milliseconds(result.between, 0.5), p99: milliseconds(result.between, 0.99)},
  memory: memory(), left_behind: left,
};
if (values.json) {
  console.log(JSON.stringify(report));
} else {
  const rows = [
    ['streams', `${report.streams} for ${report.seconds} s`],
    ['requests', `${report.requests}: ${report.completed} completed, ${report.hung_up} hung up, ${report.busy} busy`],
    ['errors', [report.errors, ...report.first_errors].join('\n  ')],
    ['tokens', `${report.generated_tokens} generated, ${report.tokens_per_second} a second; ${report.tokens} of completed requests`],
    ['time to first token', `p50 ${report.ttft_ms.p50} ms, p99 ${report.ttft_ms.p99} ms`],
    ['between tokens', `p50 ${report.inter_token_ms.p50} ms, p99 ${report.inter_token_ms.p99} ms`],
    ['resident memory', report.memory ? `${report.memory.start_mib} MiB, warm ${report.memory.warm_mib}, end ${report.memory.end_mib}: ${report.memory.growth_percent} % since warm` : 'not watched (--pid)'],
    ['... each minute', report.memory ? `${report.memory.each_minute_mib.join(' ')} MiB` : ''],
    ['left behind', Object.keys(left).length === 0 ? 'nothing' : JSON.stringify(left)],
  ];
  console.log(table(rows));
}
process.exit(report.errors > 0 || Object.keys(left).length > 0 ? 1 : 0);
