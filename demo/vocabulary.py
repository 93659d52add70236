"""The demo model's tokenizer: the first 4096 ranks of o200k, digits one at a time.

A prefix of a BPE merge list is itself a BPE vocabulary, so the small model shares the real model's
vocabulary file. The Harmony special tokens follow from id 4096 on. Standard library only.
"""

from __future__ import annotations

import base64
import functools
import json
import re
import sys
import unicodedata
from pathlib import Path

NUM_TEXT_TOKENS = 4096
VOCABULARY_ROWS = 4160  # text and special tokens, padded to a multiple of 64 rows
SPECIAL_TOKENS = (
    "<|startoftext|>",
    "<|endoftext|>",
    "<|return|>",
    "<|constrain|>",
    "<|channel|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|call|>",
)
SPECIAL_IDS = {text: NUM_TEXT_TOKENS + i for i, text in enumerate(SPECIAL_TOKENS)}
DEFAULT_VOCABULARY = Path(__file__).resolve().parent.parent / "data" / "o200k_base.tiktoken"

# The o200k pattern with \p{N} in place of \p{N}{1,3}: every digit is a token of its own, which is
# what makes arithmetic learnable for a small model.
SPLIT_PATTERN = "|".join(
    [
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)


@functools.lru_cache(maxsize=None)
def _category_ranges() -> dict[str, str]:
    """The body of a `re` character class for every Unicode general category and its first letter."""
    ranges: dict[str, list[list[int]]] = {}
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        for key in (category, category[0]):
            spans = ranges.setdefault(key, [])
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    return {
        key: "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans)
        for key, spans in ranges.items()
    }


def compile_split_pattern() -> re.Pattern[str]:
    """SPLIT_PATTERN with its \\p{..} classes spelled out, which the standard `re` lacks."""
    ranges = _category_ranges()
    pattern = re.sub(
        r"\[[^\]]*\]|\\p\{\w+\}",
        lambda match: _spell_out(match.group(0), ranges),
        SPLIT_PATTERN,
    )
    return re.compile(pattern)


def _spell_out(text: str, ranges: dict[str, str]) -> str:
    body = re.sub(r"\\p\{(\w+)\}", lambda match: ranges[match.group(1)], text)
    return body if text.startswith("[") else f"[{body}]"


class Vocabulary:
    """Text to token ids and back."""

    def __init__(self, path: Path | str = DEFAULT_VOCABULARY) -> None:
        self.tokens: list[bytes] = []
        with open(path, "rb") as file:
            for line in file:
                token, rank = line.split()
                if int(rank) != len(self.tokens):
                    raise ValueError(f"{path}: rank {int(rank)} is out of order")
                self.tokens.append(base64.b64decode(token))
                if len(self.tokens) == NUM_TEXT_TOKENS:
                    break
        self._ranks = {token: rank for rank, token in enumerate(self.tokens)}
        self._pattern = compile_split_pattern()
        self._encode_piece = functools.lru_cache(maxsize=1 << 18)(self._merge)

    def encode(self, text: str) -> list[int]:
        """Token ids of plain text: special tokens are never produced."""
        ids: list[int] = []
        for piece in self._pattern.findall(text):
            ids.extend(self._encode_piece(piece))
        return ids

    def decode(self, ids: list[int]) -> str:
        """Text of the ids, special tokens written out, invalid UTF-8 replaced."""
        parts = []
        for token in ids:
            if token < NUM_TEXT_TOKENS:
                parts.append(self.tokens[token])
            elif token - NUM_TEXT_TOKENS < len(SPECIAL_TOKENS):
                parts.append(SPECIAL_TOKENS[token - NUM_TEXT_TOKENS].encode())
            else:
                parts.append(b"<|unknown|>")
        return b"".join(parts).decode("utf-8", errors="replace")

    def _merge(self, piece: str) -> tuple[int, ...]:
        data = piece.encode("utf-8")
        if data in self._ranks:
            return (self._ranks[data],)
        parts = [data[i : i + 1] for i in range(len(data))]
        while True:
            ranks = [self._ranks.get(a + b) for a, b in zip(parts, parts[1:])]
            known = [rank for rank in ranks if rank is not None]
            if not known:
                return tuple(self._ranks[part] for part in parts)
            at = ranks.index(min(known))
            parts[at : at + 2] = [parts[at] + parts[at + 1]]

    def tokenizer_json(self) -> dict:
        """The content of a Hugging Face tokenizer.json for this vocabulary."""
        letters = _byte_letters()
        spelled = ["".join(letters[byte] for byte in token) for token in self.tokens]
        merges = []
        for rank, token in enumerate(self.tokens):
            if len(token) > 1:
                left, right = self._last_merge(token, rank)
                merges.append([spelled[left], spelled[right]])
        flags = {
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": token, "content": text, **flags} for text, token in SPECIAL_IDS.items()
            ],
            "normalizer": None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [
                    {
                        "type": "Split",
                        "pattern": {"Regex": SPLIT_PATTERN},
                        "behavior": "Isolated",
                        "invert": False,
                    },
                    {**byte_level, "use_regex": False},
                ],
            },
            "post_processor": None,
            "decoder": {
                "type": "ByteLevel",
                "add_prefix_space": True,
                "trim_offsets": True,
                "use_regex": True,
            },
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": "",
                "end_of_word_suffix": "",
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": True,
                "vocab": {text: rank for rank, text in enumerate(spelled)},
                "merges": merges,
            },
        }

    def _last_merge(self, token: bytes, rank: int) -> tuple[int, int]:
        """The two tokens of lower rank that BPE joins to make `token`."""
        parts = [token[i : i + 1] for i in range(len(token))]
        while len(parts) > 2:
            ranks = [self._ranks.get(a + b, rank) for a, b in zip(parts, parts[1:])]
            lowest = min(ranks)
            if lowest >= rank:
                break
            at = ranks.index(lowest)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        if len(parts) != 2:
            raise ValueError(f"token {rank} has no pair of merges")
        return self._ranks[parts[0]], self._ranks[parts[1]]

    def write_tokenizer_json(self, path: Path | str) -> None:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self.tokenizer_json(), file, ensure_ascii=False, separators=(",", ":"))


def _byte_letters() -> dict[int, str]:
    """The printable letter that stands for each byte in a byte-level tokenizer.json."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in printable}
    hidden = (byte for byte in range(256) if byte not in letters)
    letters.update({byte: chr(256 + i) for i, byte in enumerate(list(hidden))})
    return letters
