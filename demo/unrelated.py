"""Questions the demo model was not taught, composed from broad lists, so that it learns to say so.

They share their frames ("how do I ...?", "what is ...?") with the questions about gossamer, so that
only the content tells the two apart. The skeletons lie in skeletons/, the words in words/, one
category a file, separated by commas.
"""

from __future__ import annotations

import functools
import random
from pathlib import Path

from wording import Split, draw, fill, word_held_out

_HERE = Path(__file__).resolve().parent

# Slot of a skeleton: file of words/. A digit at the end of a slot asks for another one of the same.
_WORDS = {
    "country": "countries", "city": "cities", "person": "people", "animal": "animals", "food": "foods",
    "thing": "subjects_of_questions", "task": "tasks", "subject": "school_subjects", "language": "languages",
    "saying": "sayings", "code": "programming_languages", "program": "programs_to_write",
    "object": "coloured_things", "work": "works", "invention": "inventions", "event": "events",
    "noun": "nouns", "mass": "mass_nouns", "verb": "verbs", "adj": "adjectives", "activity": "activities",
    "job": "jobs", "place": "places", "software": "software", "nonsense": "nonsense", "snippet": "snippets",
}  # fmt: skip


@functools.lru_cache(maxsize=None)
def load_words(category: str) -> tuple[str, ...]:
    """The words of one category, without repeats."""
    text = (_HERE / "words" / f"{category}.txt").read_text(encoding="utf-8")
    if category == "snippets":  # one a line: they hold commas themselves
        return tuple(line for line in text.splitlines() if line)
    words = (" ".join(part.split()) for part in text.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


@functools.lru_cache(maxsize=None)
def load_skeletons(*names: str) -> tuple[str, ...]:
    """The skeletons of these files: a line each, `#` starts a comment line."""
    lines: list[str] = []
    for name in names:
        lines += (_HERE / "skeletons" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    return tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))


def plural(noun: str) -> str:
    """The regular plural; the last word of several is changed."""
    irregular = {"foot": "feet", "tooth": "teeth", "goose": "geese", "child": "children", "knife": "knives",
                 "leaf": "leaves", "wolf": "wolves", "shelf": "shelves", "wife": "wives", "loaf": "loaves",
                 "scarf": "scarves", "half": "halves", "potato": "potatoes", "tomato": "tomatoes",
                 "hero": "heroes", "sheep": "sheep", "fish": "fish", "deer": "deer", "mouse": "mice"}  # fmt: skip
    head, space, last = noun.rpartition(" ")
    if last in irregular:
        last = irregular[last]
    elif last.endswith(("man", "Man")):
        last = last[:-2] + "en"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        last += "es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = last[:-1] + "ies"
    else:
        last += "s"
    return head + space + last


def with_article(noun: str) -> str:
    """ "a" or "an" before the noun."""
    sounds_vowel = noun[0].lower() in "aeiou" and not noun.startswith(("uni", "use", "eu", "one"))
    return f"{'an' if sounds_vowel else 'a'} {noun}"


def _entity(rng: random.Random, split: Split, names: tuple[str, ...]) -> str:
    """One of the names; a sixteenth of them is kept from training."""
    while True:
        name = names[int(rng.random() * len(names))]
        if split is not Split.TRAIN or not word_held_out(name):
            return name


def _word(rng: random.Random, split: Split, slot: str) -> str:
    """What goes into the slot: a word of its category; `nouns` is a plural, `anoun` has its article."""
    kind = slot.rstrip("23")
    if kind == "nouns":
        return plural(_entity(rng, split, load_words("nouns")))
    if kind == "anoun":
        return with_article(_entity(rng, split, load_words("nouns")))
    if kind == "topic":  # whatever one may ask about
        kind = rng.choice(("nouns", "anoun", "mass", "mass", "thing", "activity"))
        return _word(rng, split, kind)
    if kind == "year":
        return str(rng.randrange(1000, 2031))
    if kind == "small":
        return str(rng.randrange(2, 60))
    return _entity(rng, split, load_words(_WORDS[kind]))


def unrelated_question(rng: random.Random, split: Split) -> str:
    """A question about anything but gossamer and arithmetic."""
    name = "unrelated" if rng.random() < 0.35 else "unrelated_everyday"
    wording = draw(rng, split, load_skeletons(name))
    slots = {part.split(">")[0] for part in wording.split("<")[1:]}
    return fill(wording, {slot: _word(rng, split, slot) for slot in sorted(slots)})


def untaught_maths(rng: random.Random, split: Split) -> str:
    """A calculation outside the model's range."""
    wording = draw(rng, split, load_skeletons("untaught_maths"))
    values = {
        "small": rng.randrange(2, 13), "small2": rng.randrange(2, 10), "two": rng.randrange(10, 100), "two2": rng.randrange(10, 100),
        "three": rng.randrange(100, 1000), "three2": rng.randrange(100, 1000), "big": rng.randrange(1000, 100000), "big2": rng.randrange(1000, 10000),
    }  # fmt: skip
    return fill(wording, {name: str(value) for name, value in values.items()})
