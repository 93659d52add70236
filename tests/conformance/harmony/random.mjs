// Random conversations and token streams that visit the corners of the format.

/** A small seeded generator (mulberry32): equal seeds give equal values on every machine. */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  below(n) {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }
  chance(percent) {
    return this.below(100) < percent;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
  list(max, make) {
    return Array.from({length: this.below(max + 1)}, make);
  }
  /** The object with each key present with a chance; the values are functions. */
  subset(percent, makers) {
    const made = {};
    for (const [key, make] of Object.entries(makers)) {
      if (this.chance(percent)) made[key] = make();
    }
    return made;
  }
}

const kWords = [
  'the', 'weather', 'in', 'San Francisco', 'null', 'naïve', '日本語', 'Größe', '💖', '👩‍👩‍👧', '<|start|>', '<|end|>',
  '<|message|>assistant', '<|channel|>', '// ', '"quoted"', '\\n', '`code`', '【6†L9】', '{}', '123456', '\u00a0',
];
const kSpaces = [' ', ' ', ' ', '\n', '\n\n', '\t', '\r\n', ''];
const kNames = ['f', 'get_weather', 'search', 'x1', 'Web Search', 'functions', 'größe', 'a.b'];
const kChannels = ['analysis', 'commentary', 'final', 'other', ''];
const kRecipients = ['functions.get_weather', 'python', 'browser.search', 'assistant', 'all', 'user', ''];
const kTypes = ['<|constrain|>json', '<|constrain|>', 'json', 'code', '<|constrain|> json', 'text<|constrain|>'];
const kRoles = ['user', 'assistant', 'system', 'developer', 'tool'];
// JavaScript does not tell 1.0 from 1, so there are no whole floats here.
const kNumbers = [0, -1, 10, 0.5, -2.25, 1e-7, 1.5e-5, 123456.789, 1e21, 1.7976931348623157e308, 9007199254740991];

export function randomText(random) {
  let text = '';
  for (let i = random.below(12); i > 0; --i) text += random.pick(kWords) + random.pick(kSpaces);
  return text;
}

function randomValue(random) {
  switch (random.below(7)) {
    case 0:
      return random.pick(kNumbers);
    case 1:
      return random.chance(50);
    case 2:
      return null;
    case 3:
      return random.list(3, () => random.pick(kNumbers));
    case 4:
      return {b: randomText(random), a: random.pick(kNumbers)};
    default:
      return randomText(random);
  }
}

function randomType(random) {
  return random.pick(['string', 'string', 'number', 'integer', 'boolean', 'null', 'array', 'object', 'odd']);
}

export function randomSchema(random, depth = 0) {
  const schema = random.subset(30, {
    title: () => randomText(random),
    description: () => randomText(random),
    default: () => randomValue(random),
    nullable: () => random.chance(70),
    examples: () => random.list(3, () => (random.chance(70) ? randomText(random) : random.pick(kNumbers))),
    enum: () => random.list(3, () => (random.chance(70) ? randomText(random) : random.pick(kNumbers))),
  });
  const isDeep = depth > 3;
  const kind = random.below(isDeep ? 3 : 8);
  if (kind === 0) schema.type = random.list(3, () => randomType(random));
  if (kind === 1 || kind === 2) schema.type = randomType(random);
  if (kind === 3) schema.oneOf = random.list(3, () => randomSchema(random, depth + 1));
  if (kind === 4) {
    schema.type = 'array';
    if (random.chance(80)) schema.items = randomSchema(random, depth + 1);
  }
  if (kind >= 5) {
    schema.type = 'object';
    schema.properties = {};
    for (let i = random.below(4); i > 0; --i) {
      schema.properties[random.pick(kNames) + i] = randomSchema(random, depth + 1);
    }
    if (random.chance(60)) {
      schema.required = Object.keys(schema.properties).filter(() => random.chance(50));
    }
  }
  if (random.chance(3)) schema.anyOf = [{type: 'string'}];
  return schema;
}

function randomNamespace(random, name) {
  return {
    name: random.chance(90) ? name : random.pick(kNames),
    ...random.subset(50, {description: () => randomText(random)}),
    tools: random.list(3, () => ({
      name: random.pick(kNames),
      description: randomText(random),
      ...random.subset(80, {parameters: () => randomSchema(random)}),
    })),
  };
}

function randomTools(random, names) {
  const tools = {};
  for (const name of names) {
    if (random.chance(50)) tools[name] = randomNamespace(random, name);
  }
  return tools;
}

function systemContent(random) {
  return {
    type: 'system_content',
    ...random.subset(60, {
      model_identity: () => randomText(random),
      reasoning_effort: () => random.pick(['Low', 'Medium', 'High']),
      tools: () => randomTools(random, ['python', 'browser', 'a', 'Z']),
      conversation_start_date: () => '2025-06-28',
      knowledge_cutoff: () => '2024-06',
      channel_config: () => ({
        valid_channels: random.list(3, () => random.pick(kChannels)),
        channel_required: random.chance(50),
      }),
    }),
  };
}

function developerContent(random) {
  return {
    type: 'developer_content',
    ...random.subset(70, {
      instructions: () => randomText(random),
      tools: () => randomTools(random, ['functions', 'mcp']),
    }),
  };
}

function randomContent(random, role) {
  // Now and then content of another role: an error.
  const kind = random.chance(2) ? random.pick(kRoles) : role;
  if (kind === 'system' && random.chance(80)) return [systemContent(random)];
  if (kind === 'developer' && random.chance(80)) return [developerContent(random)];
  if (random.chance(60)) return randomText(random);
  return random.list(3, () => ({type: 'text', text: randomText(random)}));
}

function randomMessage(random) {
  const role = random.pick(kRoles);
  const needsName = role === 'tool' && random.chance(97);
  return {
    role,
    ...(needsName || random.chance(10) ? {name: random.pick(kNames)} : {}),
    ...random.subset(25, {recipient: () => random.pick(kRecipients)}),
    content: randomContent(random, role),
    ...random.subset(60, {channel: () => random.pick(kChannels)}),
    ...random.subset(20, {content_type: () => random.pick(kTypes)}),
  };
}

/** A conversation in the reference's JSON form. */
export function randomConversation(random) {
  return {messages: random.list(7, () => randomMessage(random))};
}

const kMarkers = {start: 200006, message: 200008, channel: 200005, constrain: 200003, end: 200007, call: 200012, return: 200002};
const kHeaderTexts = [
  'assistant', 'user', 'tool', 'system', 'developer', 'functions.f', 'functions.f', ' to=functions.f', ' to=python', 'to=x',
  ' json', 'json', ' code', ' ', 'analysis', 'final', 'commentary', 'user:bob', ' to=', '\n', '\u3000', ' a "b" c', ':',
];

/** Encodes the parts of a stream; the same part is encoded once. */
export class StreamMaker {
  constructor(random, encode) {
    this.random = random;
    this.encode = encode;
    this.cache = new Map();
  }
  tokens(text) {
    if (!this.cache.has(text)) this.cache.set(text, this.encode(text));
    return this.cache.get(text);
  }
  header() {
    const random = this.random;
    const parts = [];
    if (random.chance(85)) parts.push(this.tokens(random.pick(['assistant', 'assistant', 'user', 'functions.f'])));
    if (random.chance(30)) parts.push(this.tokens(random.pick([' to=functions.f', ' to=python', ' to=assistant'])));
    if (random.chance(70)) {
      parts.push([kMarkers.channel]);
      parts.push(this.tokens(random.pick(['analysis', 'commentary', 'final'])));
      if (random.chance(30)) parts.push(this.tokens(random.pick([' to=functions.f', ' to=python'])));
    }
    if (random.chance(20)) parts.push(this.tokens(' '), [kMarkers.constrain], this.tokens('json'));
    if (random.chance(10)) parts.push(this.tokens(' code'));
    if (random.chance(25)) parts.splice(random.below(parts.length + 1), 0, this.tokens(random.pick(kHeaderTexts)));
    if (random.chance(10)) parts.splice(random.below(parts.length + 1), 0, [random.pick(Object.values(kMarkers))]);
    return parts.flat();
  }
  content() {
    const random = this.random;
    const parts = random.list(6, () =>
      random.chance(8) ? [random.pick([kMarkers.start, kMarkers.channel, kMarkers.message, kMarkers.constrain])] : this.tokens(random.pick(kWords)),
    );
    // Half a character: the only ill-formed text that a model can write.
    if (random.chance(3)) parts.splice(random.below(parts.length + 1), 0, [9552]);
    return parts.flat();
  }
  /** {tokens, role}, as `gossamer harmony parse` takes it. */
  stream() {
    const random = this.random;
    const role = random.chance(60) ? random.pick(['assistant', 'assistant', 'assistant', 'user', 'tool']) : null;
    const tokens = [];
    for (let i = random.below(5); i > 0; --i) {
      const isFirst = tokens.length === 0;
      if (!isFirst || role === null) tokens.push(...(random.chance(97) ? [kMarkers.start] : []));
      tokens.push(...this.header());
      if (random.chance(96)) tokens.push(kMarkers.message);
      tokens.push(...this.content());
      if (random.chance(96)) tokens.push(random.pick([kMarkers.end, kMarkers.end, kMarkers.call, kMarkers.return]));
    }
    if (random.chance(15)) tokens.length = random.below(tokens.length + 1);
    return {tokens, role};
  }
}
