"""Trains the demo model on generated dialogues and exports it.

    python3 demo/train.py --minutes 7 --out data/demo

trains for seven minutes on one GPU (the learning rate follows the clock), writes the checkpoint and
compares it with transformers. `--smoke` does the whole in seconds, on a CPU too. With `--steps N` the
learning rate follows the step count and the run depends on the seed alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import checkpoint
from batches import Batch, BatchStream
from dialogues import make_case
from harmony_format import prompt_tokens
from model import Config, DemoModel, greedy, swiglu
from vocabulary import DEFAULT_VOCABULARY, SPECIAL_IDS, Vocabulary

BALANCE_WEIGHT = 0.01
WARM_UP_STEPS = 150
FINAL_LEARNING_RATE = 0.02  # as a share of the peak
SMOKE_CONFIG = Config(hidden=64, layers=2, heads=2, kv_heads=1, intermediate=64)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=7.0, help="time to train")
    parser.add_argument("--steps", type=int, default=0, help="train so many steps instead")
    parser.add_argument("--out", type=Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--greedy", type=Path, help="file for 24 greedy completions, as test golden")
    parser.add_argument("--vocab", type=Path, default=DEFAULT_VOCABULARY, help="o200k_base.tiktoken")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--tokens-per-step", type=int, default=84_000)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--compile", action="store_true", help="compile the experts' activation")
    parser.add_argument("--smoke", action="store_true", help="a few steps of a tiny model")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.steps = arguments.steps or 12
        arguments.tokens_per_step = 12_000
        arguments.workers = min(arguments.workers, 4)
    return arguments


def make_optimizer(model: DemoModel, learning_rate: float) -> torch.optim.AdamW:
    """AdamW with weight decay on the inner matrices only."""
    decayed, plain = [], []
    for name, parameter in model.named_parameters():
        outer = parameter.dim() < 2 or "embedding" in name or name.endswith("bias")
        (plain if outer else decayed).append(parameter)
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    options = {"fused": True} if next(model.parameters()).is_cuda else {}
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98), **options)


def learning_rate_share(step: int, progress: float) -> float:
    """Linear warm-up, then a cosine of the progress (0 to 1) down to FINAL_LEARNING_RATE."""
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    return warm * (FINAL_LEARNING_RATE + (1.0 - FINAL_LEARNING_RATE) * cosine)


def batch_loss(model: DemoModel, batch: Batch, total_targets: int, device: torch.device) -> Tensor:
    """The batch's part of the step's mean loss, load balance included."""
    tokens = torch.from_numpy(batch.tokens).to(device, non_blocking=True)
    inputs = torch.from_numpy(batch.inputs).to(device, non_blocking=True)
    targets = torch.from_numpy(batch.targets).to(device, non_blocking=True)
    positions = torch.arange(tokens.shape[1], device=device).unsqueeze(0)
    share = len(batch.targets) / total_targets
    with torch.autocast(device.type, dtype=torch.bfloat16):
        states, balance = model.hidden_states(tokens, positions, padding=None)
        wanted = states.reshape(-1, states.shape[-1]).index_select(0, inputs)
        logits = model.unembedding(wanted)
    loss = F.cross_entropy(logits.float(), targets)
    return share * (loss + BALANCE_WEIGHT * balance)


def train(
    model: DemoModel, steps: Iterator[list[Batch]], arguments: argparse.Namespace, device: torch.device
) -> int:
    """Trains in place; returns the number of steps."""
    optimizer = make_optimizer(model, arguments.learning_rate)
    budget = arguments.minutes * 60.0
    begin = time.monotonic()
    shown = torch.zeros((), device=device)
    for step in itertools.count():
        elapsed = time.monotonic() - begin
        progress = step / arguments.steps if arguments.steps else elapsed / budget
        if progress >= 1.0:
            return step
        for group in optimizer.param_groups:
            group["lr"] = arguments.learning_rate * learning_rate_share(step, progress)
        batches = next(steps)
        total = sum(len(batch.targets) for batch in batches)
        optimizer.zero_grad(set_to_none=True)
        shown = torch.zeros((), device=device)
        for batch in batches:
            loss = batch_loss(model, batch, total, device)
            loss.backward()
            shown += loss.detach()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 == 0 and device.type == "cuda":
            torch.cuda.synchronize()  # keeps the clock honest
        if step % 100 == 0 or (arguments.smoke and step % 4 == 0):
            rate = arguments.learning_rate * learning_rate_share(step, progress)
            print(
                f"{time.monotonic() - begin:6.1f} s  step {step:5d}  loss {shown.item():.5f}  "
                f"lr {rate:.2e}",
                flush=True,
            )
    raise AssertionError("the loop above ends by returning")


def compile_activation(model: DemoModel, device: torch.device) -> None:
    """Replaces the activation by its compiled form where that works; else says so and goes on."""
    try:
        compiled = torch.compile(swiglu, dynamic=True)
        shape = (64, model.config.experts, model.config.intermediate)
        for rows in (64, 96):
            gate = torch.randn((rows, *shape[1:]), device=device, dtype=torch.bfloat16)
            up = torch.randn_like(gate)
            gate.requires_grad_()
            up.requires_grad_()
            compiled(gate, up, model.config.swiglu_limit).float().sum().backward()
    except Exception as error:  # whatever the compiler meets, the plain function is right
        print(f"the activation is not compiled: {type(error).__name__}: {error}", flush=True)
        return
    for layer in model.layers:
        layer.experts.activation = compiled
    print("the activation is compiled", flush=True)


def sample_prompts(vocabulary: Vocabulary, count: int) -> list[list[int]]:
    """Prompts as in training, to compare implementations on."""
    rng = random.Random(20_240_601)
    return [prompt_tokens(vocabulary, make_case(rng).dialogue) for _ in range(count)]


def verify_export(
    model: DemoModel, arguments: argparse.Namespace, vocabulary: Vocabulary, device: torch.device
) -> None:
    """The reloaded checkpoint must say what the rounded model says; transformers ought to.

    Writes what it says as a golden file where --greedy names one.
    """
    stop = SPECIAL_IDS["<|return|>"]
    prompts = sample_prompts(vocabulary, 24)
    with torch.no_grad():
        reference = checkpoint.load(arguments.out, device)
        wanted = greedy(reference, prompts, max_tokens=420, stop_token=stop)
        model.eval()
        trained = greedy(model, prompts, max_tokens=420, stop_token=stop)
    same = sum(a == b for a, b in zip(wanted, trained))
    print(f"checkpoint and trained weights (before bf16): {same} of {len(prompts)} equal", flush=True)
    agreed = [False] * len(prompts)
    try:
        agreed = _compare_with_transformers(arguments.out, prompts, wanted)
        print(f"transformers: {sum(agreed)} of {len(prompts)} completions equal", flush=True)
        print(_compare_tokenizers(arguments.out, vocabulary), flush=True)
    except Exception as error:  # transformers is a second opinion, not needed to train
        print(f"transformers: not compared: {type(error).__name__}: {error}", flush=True)
    if arguments.greedy is not None:
        cases = [
            {
                "prompt_tokens": prompt,
                "greedy_tokens": completion,
                "text": vocabulary.decode(completion),
                "by": "transformers" if confirmed else "demo/model.py",
            }
            for prompt, completion, confirmed in zip(prompts, wanted, agreed)
        ]
        text = json.dumps(cases, ensure_ascii=False, indent=1)
        arguments.greedy.parent.mkdir(parents=True, exist_ok=True)
        arguments.greedy.write_text(text + "\n", encoding="utf-8")


@torch.no_grad()
def _compare_with_transformers(
    directory: Path, prompts: list[list[int]], wanted: list[list[int]]
) -> list[bool]:
    """Whether transformers, in float32, would greedily say each completion.

    Every completion is run once after its prompt: its tokens are the likeliest at every place exactly
    when greedy decoding makes them.
    """
    from transformers import AutoModelForCausalLM, Mxfp4Config

    other = AutoModelForCausalLM.from_pretrained(
        str(directory), quantization_config=Mxfp4Config(dequantize=True), dtype=torch.float32
    )
    other = other.float().eval()
    agreed = []
    for prompt, completion in zip(prompts, wanted):
        ids = torch.tensor([prompt + completion])
        best = other(input_ids=ids).logits[0, len(prompt) - 1 : -1].argmax(dim=-1).tolist()
        agreed.append(best == completion)
    return agreed


def _compare_tokenizers(directory: Path, vocabulary: Vocabulary) -> str:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    texts = [
        "What's 12 + 7?",
        "HOW MANY THREADS does gossamer use?",
        "Réponds en français. 3 × 4 = 12\n\n  ok",
        "I'd like --max-tokens 100, please…",
    ]
    same = sum(tokenizer.encode(text).ids == vocabulary.encode(text) for text in texts)
    return f"tokenizers: {same} of {len(texts)} texts equal"


def main() -> None:
    arguments = parse_arguments()
    begin = time.monotonic()
    vocabulary = Vocabulary(arguments.vocab)
    stream = BatchStream(
        arguments.vocab, arguments.seed, arguments.tokens_per_step, arguments.workers
    )
    steps = iter(stream)
    first = next(steps)  # the workers are at work before CUDA starts
    print(f"{time.monotonic() - begin:6.1f} s  first dialogues are made", flush=True)

    torch.manual_seed(arguments.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    config = SMOKE_CONFIG if arguments.smoke else Config()
    model = DemoModel(config).to(device)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{count} parameters, {config.checkpoint_bytes()} bytes of tensors, on {device}", flush=True)
    if arguments.compile:
        compile_activation(model, device)

    started = time.monotonic()
    done = train(model, itertools.chain([first], steps), arguments, device)
    stream.close()
    seconds = time.monotonic() - started
    print(f"{done} steps, {stream.dialogues} dialogues made, {seconds:.0f} s", flush=True)

    torch.set_float32_matmul_precision("highest")
    size = checkpoint.save(model, arguments.out, vocabulary)
    print(f"{arguments.out}: {size} bytes", flush=True)
    verify_export(model, arguments, vocabulary, device)
    report = {"steps": done, "dialogues": stream.dialogues, "seconds": round(seconds), "bytes": size}
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
