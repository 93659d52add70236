"""Many ways to say one thing: template expansion, the held-out split, politeness and typing noise.

A template is text with `{a|b|c}` alternatives (they may nest, and may be empty). Slots such as
`<a>` are filled in by the caller. What a template became is a *wording*, and with its slots filled
and its typing roughened a *message*. Three things are kept from training, by a hash of their text:

* an eighth of all messages, whatever they were made from;
* an eighth of the wordings of every template that has many (a template of few wordings would lose
  its meaning altogether: nothing else tells what "take 4 off 9" means);
* one template in 32, in every wording: an *unseen skeleton*.

Evaluation draws unseen messages of known templates (in unseen wordings where the template has many),
and apart from that unseen skeletons.
"""

from __future__ import annotations

import enum
import functools
import random
import re
import zlib
from pathlib import Path

_GROUP = re.compile(r"\{([^{}]*)\}")
_SPACES = re.compile(r" {2,}")
_SLOT = re.compile(r"<(\w+)>")


MANY_WORDINGS = 24  # from here on a template's wordings are split; else only its messages are


class Split(enum.Enum):
    """Which side of the held-out border a generator draws from."""

    TRAIN = "train"
    UNSEEN_WORDING = "unseen wording"
    UNSEEN_SKELETON = "unseen skeleton"


def expand(template: str, rng: random.Random) -> str:
    """One wording of the template, every group replaced by one of its alternatives."""
    text = template
    while "{" in text:
        text = _GROUP.sub(lambda match: _pick(match.group(1).split("|"), rng), text)
    return _SPACES.sub(" ", text).strip()


def _pick(options: list[str], rng: random.Random) -> str:
    return options[int(rng.random() * len(options))]


def fill(wording: str, slots: dict[str, str]) -> str:
    """Replaces `<name>` by its value."""
    return _SLOT.sub(lambda match: slots[match.group(1)], wording)


@functools.lru_cache(maxsize=None)
def count_wordings(template: str) -> int:
    """How many ways there are through the template's groups."""
    products, sums = [1], [0]
    for letter in template:
        if letter == "{":
            products.append(1)
            sums.append(0)
        elif letter == "|" and len(products) > 1:
            sums[-1] += products[-1]
            products[-1] = 1
        elif letter == "}":
            alternatives = sums.pop() + products.pop()
            products[-1] *= alternatives
    return products[0]


def too_short_to_hold_out(text: str) -> bool:
    """Of one or two words: "farewell" and the like cannot be guessed, so all of them are taught."""
    return text.count(" ") < 2


def template_held_out(template: str) -> bool:
    """One template in 32 is never trained on, in any wording."""
    return not too_short_to_hold_out(template) and zlib.crc32(template.encode()) % 32 == 0


def word_held_out(word: str) -> bool:
    """A sixteenth of the names of things is never trained on."""
    return zlib.crc32(word.encode()) % 16 == 0


def wording_held_out(wording: str) -> bool:
    """An eighth of the wordings of a template that has many is not trained on."""
    return not too_short_to_hold_out(wording) and zlib.crc32(wording.lower().encode()) % 8 == 0


def _plain(message: str) -> str:
    return " ".join(re.findall(r"[\w'<>+*/^%-]+", message.lower()))


@functools.lru_cache(maxsize=None)
def _by_hand() -> frozenset[str]:
    """The last messages of questions.txt of four words or more; shorter ones are bound to be met."""
    text = (Path(__file__).resolve().parent / "questions.txt").read_text(encoding="utf-8")
    asked = (line.rpartition(" >> ")[2].rpartition(" | ")[2] for line in text.splitlines())
    plain = (_plain(question) for question in asked)
    return frozenset(question for question in plain if question.count(" ") >= 3)


def message_held_out(message: str) -> bool:
    """An eighth of the finished messages is not trained on, nor the longer hand-written questions."""
    if _plain(message) in _by_hand():
        return True
    return not too_short_to_hold_out(message) and zlib.crc32(b"message " + message.lower().encode()) % 8 == 0


@functools.lru_cache(maxsize=None)
def sides(templates: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The trained and the held-out templates; lists of fewer than eight are trained whole."""
    if len(templates) < 8:
        return templates, ()
    held = tuple(template for template in templates if template_held_out(template))
    return tuple(template for template in templates if template not in held), held


def draw(
    rng: random.Random,
    split: Split,
    templates: tuple[str, ...],
    phrases: tuple[str, ...] | None = None,
) -> str:
    """A wording of the split, from a random template; `<phrase>` in it becomes a random phrase.

    LookupError when an unseen skeleton is wanted and none of the templates is held out.
    """
    trained, held = sides(templates)
    choice = held if split is Split.UNSEEN_SKELETON else trained
    if not choice:
        raise LookupError(f"none of the templates is held out, such as: {templates[0]}")
    wording = ""
    for _ in range(2000):
        template = choice[int(rng.random() * len(choice))]
        if phrases is not None and "<phrase>" in template:
            known = sides(phrases)[0]
            template = template.replace("<phrase>", known[int(rng.random() * len(known))])
        wording = expand(template, rng)
        if split is Split.UNSEEN_SKELETON or count_wordings(template) < MANY_WORDINGS:
            return wording
        if wording_held_out(wording) == (split is Split.UNSEEN_WORDING):
            return wording
    raise ValueError(f"no {split.value} found, the last one tried was: {wording}")


BEFORE = (
    "please, ",
    "please ",
    "hey, ",
    "hi, ",
    "hello, ",
    "ok, ",
    "okay, ",
    "so, ",
    "quick question: ",
    "one question: ",
    "excuse me, ",
    "sorry, ",
    "and ",
    "now ",
    "well, ",
    "hmm, ",
    "just wondering, ",
    "I was wondering, ",
    "hello! ",
    "hi there, ",
    "a question: ",
    "question: ",
    "tell me, ",
    "say, ",
)
AFTER = (
    " please",
    ", please",
    " thanks",
    ", thank you",
    ", thanks",
    " pls",
    " plz",
    ", if you can",
    " for me",
    ", do you know",
    ", friend",
    " exactly",
    ", by the way",
    " then",
)
# Prefixes that turn a question into small talk are kept from messages that are greetings already.
_NEIGHBOURS = {
    "a": "sqz", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj",
    "i": "uo", "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o",
    "q": "w", "r": "et", "s": "ad", "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc",
    "y": "tu", "z": "x",
}  # fmt: skip


_NUMBER_WORDS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred".split()
)


def typo(text: str, rng: random.Random) -> str:
    """The text with one slip of the finger in a word of four letters or more; numbers are left."""
    words = [
        match.span()
        for match in re.finditer(r"(?<![-\w/.<])[A-Za-z]{4,}(?![-\w/])", text)
        if match.group().lower() not in _NUMBER_WORDS
    ]
    if not words:
        return text
    first, last = words[int(rng.random() * len(words))]
    at = rng.randrange(first + 1, last)
    kind = rng.random()
    if kind < 0.3:
        return text[:at] + text[at + 1 :]
    if kind < 0.55 and at + 1 < last:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    if kind < 0.8:
        return text[:at] + text[at] + text[at:]
    near = _NEIGHBOURS.get(text[at].lower(), "e")
    return text[:at] + rng.choice(near) + text[at + 1 :]


def soften(text: str, rng: random.Random, rate: float = 0.16) -> str:
    """Perhaps a politeness before or after."""
    roll = rng.random()
    if roll < rate * 0.6:
        before = _pick(list(BEFORE), rng)
        keep = text[:2].isupper() or re.match(r"(I|MXFP4|YaRN|CUDA|GPU|[A-Z]\w+ has)\b", text)
        return before + (text if keep else text[:1].lower() + text[1:])
    if roll < rate:
        end = text[-1:] if text[-1:] in "?.!" else ""
        return text.rstrip("?.! ") + _pick(list(AFTER), rng) + end
    return text


def roughen(text: str, rng: random.Random) -> str:
    """Case, punctuation and typing as people really type."""
    roll = rng.random()
    if roll < 0.30:
        text = text[:1].lower() + text[1:]
    elif roll < 0.80:
        text = text[:1].upper() + text[1:]
    elif roll < 0.96:
        text = text.lower()
    else:
        text = text.upper()
    if text[-1:] in "?.!":
        roll = rng.random()
        if roll < 0.35:
            text = text[:-1].rstrip()
        elif roll < 0.38:
            text += text[-1]
        elif roll < 0.41:
            text = text[:-1] + " " + text[-1]
    elif rng.random() < 0.2:
        text += rng.choice("?.!?")
    if "'" in text and rng.random() < 0.25:
        text = text.replace("'", "" if rng.random() < 0.7 else "\u2019")
    if rng.random() < 0.12:
        text = typo(text, rng)
        if rng.random() < 0.2:
            text = typo(text, rng)
    if rng.random() < 0.02:
        text = text.replace(" ", "  ", 1)
    return text
