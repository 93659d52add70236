// Random documents that visit the corners of the split pattern and of UTF-8.

/** A small seeded generator (mulberry32): equal seeds give equal documents on every machine. */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }
  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = this.state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }
  below(n) {
    return this.next() % n;
  }
  pick(list) {
    return list[this.below(list.length)];
  }
}

const kWords = [
  'hello', 'World', 'HTTPServer', 'camelCase', 'the', 'of', 'Straße', 'naïve', 'Привет', 'ΑΒΓαβγ', '你好', '世界', 'こんにちは',
  'カタカナ', '한국어', 'مرحبا', 'שלום', 'नमस्ते', 'สวัสดี', 'ǅungla', 'ªº', 'ʰʷ', 'café', 'cafe\u0301', 'Việt', 'İstanbul', 'ﬁne',
];
const kContractions = ["'s", "'S", "'t", "'re", "'RE", "'vE", "'m", "'ll", "'lL", "'d", "'ſ", "'x", "’s", "''s", "'"];
const kSpaces = [' ', '  ', '\t', '\n', '\r', '\r\n', '\n\n', '\u00a0', '\u3000', '\u2028', '\u0085', '\u200b', '\v', '\u1680'];
const kMarks = ['\u0301', '\u0308', '\u20e3', '\ufe0f', '\u093f', '\u{e0100}', '\u0e31'];
const kPunctuation = ['!', '...', '/', '//', '\\', '{}', '();', '->', '=', '"', '—', '「', '€', '👩‍👩‍👧', '🏳️‍🌈', '∑', '\u0001', '\u{10fffd}'];
const kNumbers = ['0', '12', '345', '6789', '1234567', '٣', '½', 'Ⅷ', '२०', '𝟘𝟙', '①'];
const kCode = ['if (x != nullptr) {\n  return x->y;\n}', 'def f(a, b=1):\n\treturn a+b', '<div class="a">', 'https://a.b/c?d=e#f', '#include <x>\r\n'];
const kSpecialLike = ['<|start|>', '<|end|>', '<|message|>', '<|reserved_200500|>', '<|endofprompt|>', '<|', '|>', '<|start'];

function scalarValue(random) {
  // Equally often: ASCII, the rest of the BMP, and any plane.
  const limit = random.pick([0x80, 0x800, 0x10000, 0x20000, 0x110000]);
  for (;;) {
    const c = random.below(limit);
    if (c !== 0 && (c < 0xd800 || c > 0xdfff)) return String.fromCodePoint(c);
  }
}

function fragment(random) {
  switch (random.below(12)) {
    case 0:
    case 1:
      return random.pick(kWords);
    case 2:
      return random.pick(kContractions);
    case 3:
    case 4:
      return random.pick(kSpaces).repeat(1 + random.below(3));
    case 5:
      return random.pick(kMarks);
    case 6:
      return random.pick(kPunctuation);
    case 7:
      return random.pick(kNumbers);
    case 8:
      return random.below(4) === 0 ? random.pick(kCode) : random.pick(kSpecialLike);
    case 9:
      return String.fromCharCode(0x61 + random.below(26) - (random.below(2) ? 0x20 : 0)).repeat(1 + random.below(9));
    default:
      return scalarValue(random);
  }
}

/** A document's bytes, without NUL bytes. One in eight has bytes that are not UTF-8. */
export function randomDocument(random) {
  let text = '';
  for (let n = random.below(16); n > 0; --n) text += fragment(random);
  if (random.below(200) === 0) text += random.pick(['a', 'A', ' ', '!', '\n', '你', '1', 'é']).repeat(random.below(1500));
  const bytes = Buffer.from(text, 'utf8');
  if (random.below(8) === 0) {
    for (let n = 1 + random.below(4); n > 0 && bytes.length > 0; --n) {
      bytes[random.below(bytes.length)] = random.pick([0x80, 0xbf, 0xc0, 0xc3, 0xe2, 0xed, 0xf0, 0xf4, 0xff, 0x41]);
    }
  }
  return bytes;
}
