// npm @openai/codex, the Codex CLI, with the config that docs/server.md gives: a session calls a tool, reads its
// output and finishes.
import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {existsSync, mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';

import {call, kPatience, say, startScripted, temporaryFolder, think, turn} from './harness.mjs';

const kHere = dirname(fileURLToPath(import.meta.url));
const kCodex = createRequire(import.meta.url).resolve('@openai/codex/bin/codex.js');

/** What `model_catalog_json` names. */
const kCatalogue = readFileSync(join(kHere, 'codex_catalogue.json'), 'utf8');

const config = (baseURL, catalogue, more) => `
model = "gpt-oss-20b"
model_provider = "gossamer"
model_catalog_json = "${catalogue}"
web_search = "disabled"
check_for_update_on_startup = false
${more}
[model_providers.gossamer]
name = "gossamer"
base_url = "${baseURL}"
wire_api = "responses"
stream_idle_timeout_ms = 600000

[analytics]
enabled = false
`;

/** Runs `codex exec` in an empty folder with an empty CODEX_HOME. */
async function runCodex(t, server, prompt, more = '', tables = '') {
  const folder = temporaryFolder(t);
  const home = join(folder, 'codex');
  const work = join(folder, 'project');
  mkdirSync(home);
  mkdirSync(work);
  const catalogue = join(home, 'catalogue.json');
  writeFileSync(catalogue, kCatalogue);
  writeFileSync(join(home, 'config.toml'), config(server.baseURL, catalogue, more) + tables);
  const args = ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', '-C', work, '--json', prompt];
  const child = spawn(process.execPath, [kCodex, ...args], {
    env: {PATH: process.env.PATH, HOME: folder, CODEX_HOME: home, RUST_LOG: 'error'},
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', chunk => (output += chunk));
  child.stderr.on('data', chunk => (errors += chunk));
  const status = await new Promise(resolve => child.on('close', resolve));
  assert.equal(status, 0, `codex ended with ${status}\n${output}\n${errors}\n${server.log()}`);
  const events = output.split('\n').filter(line => line.startsWith('{')).map(line => JSON.parse(line));
  const items = events.filter(event => event.type === 'item.completed').map(event => event.item);
  return {items, work, errors, answer: items.findLast(item => item.type === 'agent_message')?.text};
}

test('a session calls the shell tool and finishes', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'Tell me the magic', text: turn(
      think('I run a command.'), call('functions.exec_command', {cmd: 'echo magic-$((4700 + 11))'})
    )},
    {match: 'magic-4711', text: turn(think('There it is.'), say('The magic number is 4711.'))},
  ]);
  const {items, answer} = await runCodex(t, server, 'Tell me the magic number.');
  assert.equal(answer, 'The magic number is 4711.', JSON.stringify(items));
  const command = items.find(item => item.type === 'command_execution');
  assert.match(command.aggregated_output, /magic-4711/);
  assert.equal(command.exit_code, 0);
});

const kPatch = '*** Begin Patch\n*** Add File: hello.txt\n+Hello, 4711.\n*** End Patch\n';

test('the custom tool apply_patch writes a file', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'Write hello.txt', text: turn(think('I patch.'), call('functions.apply_patch', {input: kPatch}))},
    {match: 'A hello.txt', text: say('Written.')},
  ]);
  const {work, answer, items} = await runCodex(t, server, 'Write hello.txt.');
  assert.equal(answer, 'Written.', JSON.stringify(items));
  assert.ok(existsSync(join(work, 'hello.txt')));
  assert.equal(readFileSync(join(work, 'hello.txt'), 'utf8'), 'Hello, 4711.\n');
});

test('a tool of an MCP server, which is a namespace, is called and answered', kPatience, async t => {
  const server = await startScripted(t, [
    {match: 'Look up the note', text: turn(think('I look it up.'), call('mcp__notes.lookup', {key: 'colour'}))},
    {match: 'note colour is green-4711', text: say('The note says green.')},
  ]);
  const tables = `
[mcp_servers.notes]
command = "${process.execPath}"
args = ["${join(kHere, 'mcp_notes.mjs')}"]
`;
  const {answer, items} = await runCodex(t, server, 'Look up the note on colour.', '', tables);
  assert.equal(answer, 'The note says green.', JSON.stringify(items));
});
