// What Codex sends, abridged.

export const kCodexHeaders = {
  accept: 'text/event-stream',
  originator: 'codex_exec',
  'user-agent': 'codex_exec/0.169.0 (Debian 12.0.0; x86_64) unknown (codex_exec; 0.169.0)',
  'session-id': '01a20546-8831-7c50-a9d1-c64c9bdb7d27',
  'thread-id': '01a20546-8831-7c50-a9d1-c64c9bdb7d27',
  'x-client-request-id': '01a20546-8831-7c50-a9d1-c64c9bdb7d27',
  'x-codex-window-id': '01a20546-8831-7c50-a9d1-c64c9bdb7d27:0',
  'x-codex-beta-features': 'remote_compaction_v2',
  'x-codex-turn-metadata': '{"turn_id":"01a20546","sandbox":"none"}',
};

const object = properties => ({
  type: 'object', properties, required: Object.keys(properties), additionalProperties: false,
});
const fn = (name, properties) => ({
  type: 'function', name, strict: false, description: `Does what ${name} says.`, parameters: object(properties),
});
const message = (role, id, text) => ({type: 'message', id, role, content: [{type: 'input_text', text}]});

export const kApplyPatch = {
  type: 'custom',
  name: 'apply_patch',
  description: 'Edits files. This is a FREEFORM tool, so do not wrap the patch in JSON.',
  format: {type: 'grammar', syntax: 'lark', definition: 'start: begin_patch hunk+ end_patch\nbegin_patch: "*** Begin Patch" LF\n'},
};

export const kNotes = {
  type: 'namespace', name: 'mcp__notes', description: 'Notes.', tools: [fn('lookup', {key: {type: 'string'}})],
};

/** The body of a request whose history goes on with `more` after the first message. */
export const codexBody = (more, fields = {}) => ({
  model: 'gpt-oss-20b',
  stream: true,
  input: [
    message('developer', 'msg_c05d7d15-6828-51a9-9da6-aa430afd6c89', 'You are a coding agent, first part.'),
    message('developer', 'msg_01a20546-887e-7ed0-a94f-836b3f7cdb65', '<skills_instructions>second part</skills_instructions>'),
    message('user', 'msg_01a20546-887e-7ed0-a94f-837775d84ccc', '<environment_context>\n  <cwd>/project</cwd>\n</environment_context>'),
    message('user', 'msg_01a20546-8893-7eb1-8fbe-347b6b112eec', 'say hi'),
    ...more,
  ],
  tools: [
    fn('exec_command', {cmd: {type: 'string'}}),
    fn('write_stdin', {session_id: {type: 'number'}, chars: {type: 'string'}}),
    {
      type: 'namespace', name: 'multi_agent_v1', description: 'Other agents.',
      tools: [fn('close_agent', {target: {type: 'string'}}), fn('wait_agent', {targets: {type: 'array', items: {type: 'string'}}})],
    },
  ],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning: {effort: 'medium', summary: 'auto'},
  store: false,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: '01a20546-8831-7c50-a9d1-c64c9bdb7d27',
  client_metadata: {'x-codex-installation-id': '102a46ab', turn_id: '01a20546'},
  ...fields,
});
