"""Turns generated dialogues into training batches, made by worker processes while the GPU trains."""

from __future__ import annotations

import collections
import dataclasses
import multiprocessing
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dialogues import make_case
from harmony_format import completion_tokens, prompt_tokens
from vocabulary import Vocabulary
from wording import Split

DIALOGUES_PER_CHUNK = 4096
MAX_LENGTH = 512  # longer dialogues, a few in a thousand, are left out
PARTS = 3  # each step takes short, middling and long dialogues
_AHEAD = 3  # chunks in flight for each worker

_vocabulary: Vocabulary  # of a worker process, set once by _start_worker


@dataclasses.dataclass(frozen=True)
class Batch:
    """Right-padded rows, and where the loss is taken."""

    tokens: np.ndarray  # int64 [rows, length]
    inputs: np.ndarray  # int64 [targets]: index into the flattened tokens of the token before
    targets: np.ndarray  # int64 [targets]: the token to predict there


def _start_worker(path: str) -> None:
    global _vocabulary
    _vocabulary = Vocabulary(path)


def _make_chunk(seed: int) -> list[tuple[np.ndarray, int]]:
    """(tokens, length of the prompt) of each dialogue, shortest first."""
    rng = random.Random(seed)
    rows = []
    while len(rows) < DIALOGUES_PER_CHUNK:
        dialogue = make_case(rng, Split.TRAIN).dialogue
        prompt = prompt_tokens(_vocabulary, dialogue)
        tokens = prompt + completion_tokens(_vocabulary, dialogue)
        if len(tokens) <= MAX_LENGTH:
            rows.append((np.array(tokens, dtype=np.uint16), len(prompt)))
    rows.sort(key=lambda row: len(row[0]))
    return rows


def _cut(rows: list[tuple[np.ndarray, int]], tokens_per_batch: int) -> list[list[tuple[np.ndarray, int]]]:
    """Runs of neighbours whose padded size is about tokens_per_batch."""
    batches: list[list[tuple[np.ndarray, int]]] = [[]]
    for row in rows:
        if (len(batches[-1]) + 1) * len(row[0]) > tokens_per_batch and batches[-1]:
            batches.append([])
        batches[-1].append(row)
    return batches


def _pad(rows: list[tuple[np.ndarray, int]]) -> Batch:
    length = -(-max(len(tokens) for tokens, _ in rows) // 8) * 8
    padded = np.zeros((len(rows), length), dtype=np.int64)
    inputs, targets = [], []
    for index, (tokens, prompt) in enumerate(rows):
        padded[index, : len(tokens)] = tokens
        first = index * length
        inputs.append(np.arange(first + prompt - 1, first + len(tokens) - 1, dtype=np.int64))
        targets.append(tokens[prompt:].astype(np.int64))
    return Batch(padded, np.concatenate(inputs), np.concatenate(targets))


class BatchStream:
    """Endless steps of PARTS batches each, the same for the same seed whatever the worker count.

    The workers are forked: make the stream before the first use of CUDA.
    """

    def __init__(self, vocabulary: Path, seed: int, tokens_per_step: int, workers: int) -> None:
        context = multiprocessing.get_context("fork")
        self._pool = context.Pool(workers, initializer=_start_worker, initargs=(str(vocabulary),))
        self._seed = seed
        self._tokens_per_batch = tokens_per_step // PARTS
        self._ahead = max(2, workers * _AHEAD)
        self.dialogues = 0

    def __iter__(self) -> Iterator[list[Batch]]:
        pending: collections.deque = collections.deque()
        asked = 0
        while True:
            while len(pending) < self._ahead:
                pending.append(self._pool.apply_async(_make_chunk, (self._seed * 1_000_003 + asked,)))
                asked += 1
            rows = pending.popleft().get()
            self.dialogues += len(rows)
            batches = _cut(rows, self._tokens_per_batch)
            steps = max(1, len(batches) // PARTS)
            order = list(range(steps))
            random.Random(asked).shuffle(order)
            for step in order:
                yield [_pad(batch) for batch in batches[step::steps]]

    def close(self) -> None:
        self._pool.terminate()
        self._pool.join()
