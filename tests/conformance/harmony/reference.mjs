// The reference library (openai/harmony, compiled to WebAssembly), and `gossamer harmony`, as functions.
import {spawn} from 'node:child_process';
import {readFileSync} from 'node:fs';

/**
 * The package downloads its vocabulary; it is given the repository's file instead. `url` on a Response made
 * by hand is empty, and the package reads it.
 */
function serveLocally(vocabulary) {
  globalThis.fetch = async request => {
    const url = String(request.url ?? request);
    const isWasm = url.endsWith('.wasm');
    const body = readFileSync(isWasm ? (url.startsWith('file:') ? new URL(url) : url) : vocabulary);
    const headers = isWasm ? {'content-type': 'application/wasm'} : {};
    const response = new Response(body, {status: 200, headers});
    Object.defineProperty(response, 'url', {value: url});
    return response;
  };
}

/** The reference's encoding, with `render` and `parse` that return {error} instead of throwing. */
export async function loadReference(vocabulary) {
  serveLocally(vocabulary);
  const library = await import('openai-harmony');
  const encoding = await library.load_harmony_encoding('HarmonyGptOss');
  const attempt = f => {
    try {
      return f();
    } catch (error) {
      return {error: String(error.message ?? error)};
    }
  };
  return {
    encode: text => [...encoding.encode(text, [])],
    render: (conversation, {keepAnalysis, completion}) =>
      attempt(() => {
        const config = {auto_drop_analysis: !keepAnalysis};
        const tokens = completion
          ? encoding.renderConversationForCompletion(conversation, 'assistant', config)
          : encoding.renderConversation(conversation, config);
        return {tokens: [...tokens]};
      }),
    parse: ({tokens, role}) =>
      attempt(() => ({
        messages: JSON.parse(encoding.parseMessagesFromCompletionTokens(Uint32Array.from(tokens), role ?? undefined)),
      })),
  };
}

/** The lines that `program harmony ...flags --lines` answers to the lines of `values`. */
export async function runLines(program, flags, values) {
  const child = spawn(program, ['harmony', ...flags, '--lines'], {stdio: ['pipe', 'pipe', 'inherit']});
  const chunks = [];
  child.stdout.on('data', chunk => chunks.push(chunk));
  const closed = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  child.stdin.end(values.map(value => `${JSON.stringify(value)}\n`).join(''));
  const status = await closed;
  if (status !== 0) throw new Error(`${program} harmony ${flags.join(' ')}: exit status ${status}`);
  const lines = Buffer.concat(chunks).toString().split('\n');
  lines.pop();
  if (lines.length !== values.length) throw new Error(`${values.length} lines in, ${lines.length} lines out`);
  return lines.map(line => JSON.parse(line));
}
