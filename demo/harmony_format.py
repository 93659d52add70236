"""Renders dialogues as the model sees them: the Harmony format, as `gossamer generate --chat` does."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from vocabulary import SPECIAL_IDS, Vocabulary

START = SPECIAL_IDS["<|start|>"]
END = SPECIAL_IDS["<|end|>"]
MESSAGE = SPECIAL_IDS["<|message|>"]
CHANNEL = SPECIAL_IDS["<|channel|>"]
RETURN = SPECIAL_IDS["<|return|>"]

DEFAULT_IDENTITY = "You are ChatGPT, a large language model trained by OpenAI."
CHANNELS = (
    "# Valid channels: analysis, commentary, final. Channel must be included for every message."
)
FUNCTIONS_NOTE = "Calls to these tools must go to the commentary channel: 'functions'."


@dataclasses.dataclass(frozen=True)
class System:
    """The system message; a part that is None is left out."""

    identity: str | None = DEFAULT_IDENTITY
    cutoff: str | None = "2024-06"
    date: str | None = None
    reasoning: str = "medium"
    channels: bool = True
    has_functions: bool = False

    def text(self) -> str:
        lines = [self.identity] if self.identity else []
        lines += [f"Knowledge cutoff: {self.cutoff}"] if self.cutoff else []
        lines += [f"Current date: {self.date}"] if self.date else []
        sections = ["\n".join(lines)] if lines else []
        sections.append(f"Reasoning: {self.reasoning}")
        if self.channels:
            sections.append(CHANNELS + ("\n" + FUNCTIONS_NOTE if self.has_functions else ""))
        return "\n\n".join(sections)


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """One prompt with the completion wanted for it."""

    system: System | None
    developer: str | None  # the developer message's whole text
    turns: tuple[tuple[str, str], ...]  # earlier (user, final answer) pairs
    user: str
    analysis: str = ""
    final: str = ""


def message(vocabulary: Vocabulary, role: str, text: str) -> list[int]:
    return [START, *vocabulary.encode(role), MESSAGE, *vocabulary.encode(text), END]


def prompt_tokens(vocabulary: Vocabulary, dialogue: Dialogue) -> list[int]:
    """Everything up to and including `<|start|>assistant`. Earlier analysis is dropped."""
    ids: list[int] = []
    if dialogue.system is not None:
        ids += message(vocabulary, "system", dialogue.system.text())
    if dialogue.developer is not None:
        ids += message(vocabulary, "developer", dialogue.developer)
    for user, final in dialogue.turns:
        ids += message(vocabulary, "user", user)
        ids += [START, *vocabulary.encode("assistant"), *_channel(vocabulary, "final", final), END]
    ids += message(vocabulary, "user", dialogue.user)
    return [*ids, START, *vocabulary.encode("assistant")]


def completion_tokens(vocabulary: Vocabulary, dialogue: Dialogue) -> list[int]:
    """What the model is to say: analysis, then final, closed by `<|return|>`."""
    return [
        *_channel(vocabulary, "analysis", dialogue.analysis),
        END,
        START,
        *vocabulary.encode("assistant"),
        *_channel(vocabulary, "final", dialogue.final),
        RETURN,
    ]


def _channel(vocabulary: Vocabulary, name: str, text: str) -> list[int]:
    return [CHANNEL, *vocabulary.encode(name), MESSAGE, *vocabulary.encode(text)]


_COMPLETION = re.compile(
    r"<\|channel\|>analysis<\|message\|>((?:(?!<\|).)*)<\|end\|>"
    r"<\|start\|>assistant<\|channel\|>final<\|message\|>((?:(?!<\|).)*)<\|return\|>",
    re.DOTALL,
)


def parse_completion(vocabulary: Vocabulary, ids: Sequence[int]) -> tuple[str, str] | None:
    """The (analysis, final) of a well-formed completion, None for any other."""
    match = _COMPLETION.fullmatch(vocabulary.decode(list(ids)))
    return (match.group(1), match.group(2)) if match else None
