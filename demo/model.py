"""The demo model in PyTorch: gpt-oss with small dimensions, one code path to train and to decode.

Expert weights are rounded to MXFP4 in every forward pass and the gradient goes straight through, so
the model trains with exactly the weights that are exported. All experts run on all tokens and the
router's weights mask them: for a model this small that is faster than gathering.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vocabulary import VOCABULARY_ROWS

MASKED = -1.0e4  # added to a score; exp() of it is zero in float32
SINK_COLUMNS = 8  # the sink and padding: keeps matrix widths a multiple of 8
E2M1_LEVELS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
E2M1_MIDPOINTS = (0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5.0)
MXFP4_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class Config:
    """Shape of the model; what is not here is as in the released gpt-oss models."""

    hidden: int = 256
    layers: int = 8
    heads: int = 8
    kv_heads: int = 2
    head_dim: int = 64
    experts: int = 8
    experts_per_token: int = 4
    intermediate: int = 192
    window: int = 128
    vocabulary: int = VOCABULARY_ROWS
    rope_theta: float = 150000.0
    rope_factor: float = 32.0
    initial_context: int = 4096
    beta_fast: float = 32.0
    beta_slow: float = 1.0
    swiglu_limit: float = 7.0
    norm_epsilon: float = 1e-5

    def checkpoint_bytes(self) -> int:
        """Bytes of the tensors in model.safetensors: MXFP4 experts, everything else bf16."""
        attention = self.hidden * (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        attention += (self.heads + 2 * self.kv_heads) * self.head_dim + self.hidden + self.heads
        router = self.experts * (self.hidden + 1)
        expert_values = self.experts * 3 * self.intermediate * self.hidden
        expert_biases = self.experts * (2 * self.intermediate + self.hidden)
        layer = 2 * (attention + router + expert_biases + 2 * self.hidden)
        layer += expert_values // MXFP4_BLOCK * (MXFP4_BLOCK // 2 + 1)
        return self.layers * layer + 2 * (2 * self.vocabulary * self.hidden + self.hidden)


def quantise_mxfp4(weight: Tensor) -> tuple[Tensor, Tensor]:
    """E2M1 codes [..., n] and E8M0 exponents [..., n / 32] of weight [..., n], as float exponents.

    The scale is the smallest power of two for which no value of the block is beyond 6.
    """
    blocks = weight.detach().float().unflatten(-1, (-1, MXFP4_BLOCK))
    largest = blocks.abs().amax(dim=-1, keepdim=True)
    exponent = torch.ceil(torch.log2(largest / 6.0)).clamp(-100.0, 100.0)
    scaled = blocks * torch.exp2(-exponent)
    midpoints = torch.tensor(E2M1_MIDPOINTS, device=weight.device)
    codes = torch.bucketize(scaled.abs(), midpoints)
    codes = codes + 8 * (scaled < 0)
    return codes.flatten(-2), exponent.squeeze(-1)


def dequantise_mxfp4(codes: Tensor, exponent: Tensor) -> Tensor:
    """The float32 values of codes [..., n] with exponents [..., n / 32]."""
    positive = torch.tensor(E2M1_LEVELS, device=codes.device)
    levels = torch.cat([positive, -positive])
    blocks = levels[codes.long()].unflatten(-1, (-1, MXFP4_BLOCK))
    return (blocks * torch.exp2(exponent).unsqueeze(-1)).flatten(-2)


class RoundMxfp4(torch.autograd.Function):
    """Rounds to MXFP4; the gradient passes as if it did not."""

    @staticmethod
    def forward(ctx: object, weight: Tensor) -> Tensor:
        return dequantise_mxfp4(*quantise_mxfp4(weight))

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient


def rope_tables(config: Config, positions: Tensor) -> tuple[Tensor, Tensor]:
    """cos and sin of the YaRN-scaled rotary angles: [..., tokens, head_dim / 2] of [..., tokens]."""
    half = config.head_dim // 2
    index = torch.arange(half, dtype=torch.float32, device=positions.device)
    frequency = 1.0 / config.rope_theta ** (index / half)

    def ramp_end(beta: float) -> float:
        turns = config.initial_context / (beta * 2 * math.pi)
        return half * math.log(turns) / math.log(config.rope_theta)

    low, high = ramp_end(config.beta_fast), ramp_end(config.beta_slow)
    ramp = ((index - low) / (high - low)).clamp(0.0, 1.0)
    frequency = frequency / config.rope_factor * ramp + frequency * (1.0 - ramp)
    concentration = 0.1 * math.log(config.rope_factor) + 1.0
    angle = positions.float().unsqueeze(-1) * frequency
    return angle.cos() * concentration, angle.sin() * concentration


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Half-split rotation of x [batch, heads, tokens, head_dim]."""
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
    return turned.to(x.dtype)


def swiglu(gate: Tensor, up: Tensor, limit: float) -> Tensor:
    """gpt-oss's clamped SwiGLU with alpha 1.702."""
    gate = gate.clamp(max=limit)
    return gate * torch.sigmoid(1.702 * gate) * (up.clamp(-limit, limit) + 1.0)


class RmsNorm(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(config.hidden))
        self.epsilon = config.norm_epsilon

    def forward(self, x: Tensor) -> Tensor:
        x = x.float()
        return x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + self.epsilon) * self.scale


class Cache:
    """Keys (rotated) and values of the tokens seen: [batch, kv_heads, length, head_dim] a layer."""

    def __init__(self, config: Config, batch: int, length: int, device: torch.device) -> None:
        shape = (config.layers, batch, config.kv_heads, length, config.head_dim)
        self.keys = torch.zeros(shape, device=device)
        self.values = torch.zeros(shape, device=device)
        self.used = 0


class Attention(nn.Module):
    """Grouped-query attention with a learned sink for each query head."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        width = config.heads * config.head_dim
        self.qkv = nn.Linear(config.hidden, width + 2 * config.kv_heads * config.head_dim)
        self.out = nn.Linear(width, config.hidden)
        self.sinks = nn.Parameter(torch.zeros(config.heads))

    def forward(
        self, x: Tensor, rope: tuple[Tensor, Tensor], mask: Tensor, cache: Cache | None, layer: int
    ) -> Tensor:
        """x [batch, tokens, hidden]; mask [batch or 1, 1, tokens, keys] is added to the scores."""
        c = self.config
        batch, tokens, _ = x.shape
        query_width = c.heads * c.head_dim
        kv_width = c.kv_heads * c.head_dim
        query, key, value = self.qkv(x).split([query_width, kv_width, kv_width], dim=-1)
        query = query.reshape(batch, tokens, c.heads, c.head_dim).transpose(1, 2)
        key = key.reshape(batch, tokens, c.kv_heads, c.head_dim).transpose(1, 2)
        value = value.reshape(batch, tokens, c.kv_heads, c.head_dim).transpose(1, 2)
        query, key = rotate(query, *rope), rotate(key, *rope)
        if cache is not None:
            end = cache.used + tokens
            cache.keys[layer, :, :, cache.used : end] = key
            cache.values[layer, :, :, cache.used : end] = value
            key, value = cache.keys[layer, :, :, :end], cache.values[layer, :, :, :end]
        out = self._attend(query * c.head_dim**-0.5, key, value, mask)
        return self.out(out.transpose(1, 2).reshape(batch, tokens, query_width))

    def _attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        """The sink is the score of one more key, a zero vector with a zero value."""
        c = self.config
        batch, _, tokens, _ = query.shape
        columns = key.shape[2] + SINK_COLUMNS
        key = F.pad(key, (0, 0, 0, SINK_COLUMNS))
        value = F.pad(value, (0, 0, 0, SINK_COLUMNS))
        grouped = query.reshape(batch, c.kv_heads, -1, c.head_dim)
        scores = grouped @ key.transpose(-1, -2)
        scores = scores.reshape(batch, c.heads, tokens, columns)
        rows = mask.shape[0]
        sinks = self.sinks.view(1, c.heads, 1, 1).expand(rows, c.heads, tokens, 1)
        rest = mask.new_full((rows, c.heads, tokens, SINK_COLUMNS - 1), MASKED)
        bias = torch.cat([mask.expand(rows, c.heads, tokens, -1), sinks, rest], dim=-1)
        weights = torch.softmax(scores + bias.to(scores.dtype), dim=-1, dtype=torch.float32)
        weights = weights.to(value.dtype).reshape(batch, c.kv_heads, -1, columns)
        return (weights @ value).reshape(batch, c.heads, tokens, c.head_dim)


class Experts(nn.Module):
    """The mixture of experts. Gate and up rows are kept apart here and interleaved in the export."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        e, i, h = config.experts, config.intermediate, config.hidden
        self.router = nn.Linear(h, e)
        self.gate_up = nn.Parameter(torch.empty(e, 2, i, h))
        self.gate_up_bias = nn.Parameter(torch.zeros(e, 2, i))
        self.down = nn.Parameter(torch.empty(e, h, i))
        self.down_bias = nn.Parameter(torch.zeros(e, h))
        self.round_weights = True
        self.activation: Callable[[Tensor, Tensor, float], Tensor] = swiglu

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x [tokens, hidden] -> the output and the load-balance term, 1 when balanced."""
        c = self.config
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.float(), self.router.weight, self.router.bias)
        best = logits.topk(c.experts_per_token, dim=-1)
        share = torch.zeros_like(logits)
        share = share.scatter(-1, best.indices, torch.softmax(best.values, dim=-1))
        gate_up, down = self.gate_up, self.down
        if self.round_weights:
            gate_up, down = RoundMxfp4.apply(gate_up), RoundMxfp4.apply(down)
        inner = F.linear(x, gate_up.reshape(-1, c.hidden), self.gate_up_bias.reshape(-1))
        gate, up = inner.view(-1, c.experts, 2, c.intermediate).unbind(dim=2)
        active = self.activation(gate, up, c.swiglu_limit) * share.to(gate.dtype).unsqueeze(-1)
        down = down.permute(1, 0, 2).reshape(c.hidden, -1)
        out = F.linear(active.reshape(active.shape[0], -1), down) + share @ self.down_bias
        used = (share > 0).float().mean(dim=0) / c.experts_per_token
        balance = c.experts * (used * torch.softmax(logits, dim=-1).mean(dim=0)).sum()
        return out, balance


class Layer(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = RmsNorm(config)
        self.attention = Attention(config)
        self.experts_norm = RmsNorm(config)
        self.experts = Experts(config)


class DemoModel(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.hidden)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = RmsNorm(config)
        self.unembedding = nn.Linear(config.hidden, config.vocabulary, bias=False)
        self._initialise()

    def _initialise(self) -> None:
        c = self.config
        branch = (2 * c.layers) ** -0.5
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.unembedding.weight, std=c.hidden**-0.5)
        for layer in self.layers:
            attention, experts = layer.attention, layer.experts
            nn.init.normal_(attention.qkv.weight, std=c.hidden**-0.5)
            nn.init.normal_(attention.out.weight, std=branch * (c.heads * c.head_dim) ** -0.5)
            nn.init.normal_(experts.router.weight, std=0.02)
            nn.init.normal_(experts.gate_up, std=c.hidden**-0.5)
            nn.init.normal_(experts.down, std=branch * c.intermediate**-0.5)
            for linear in (attention.qkv, attention.out, experts.router):
                nn.init.zeros_(linear.bias)

    def hidden_states(
        self, tokens: Tensor, positions: Tensor, padding: Tensor | None, cache: Cache | None = None
    ) -> tuple[Tensor, Tensor]:
        """Normed states [batch, tokens, hidden] and the mean load-balance term.

        positions [batch or 1, tokens]; padding [batch] counts the columns on the left of each row
        that hold no token, None when there are none.
        """
        c = self.config
        batch, length = tokens.shape
        start = 0 if cache is None else cache.used
        masks = self._masks(start, length, padding, tokens.device)
        rope = tuple(table.unsqueeze(1) for table in rope_tables(c, positions))
        x = self.embedding(tokens)
        balance = torch.zeros((), device=tokens.device)
        for index, layer in enumerate(self.layers):
            mask = masks[index % 2]
            x = x + layer.attention(layer.attention_norm(x), rope, mask, cache, index)
            normed = layer.experts_norm(x).reshape(batch * length, c.hidden)
            out, term = layer.experts(normed)
            x = x + out.reshape(batch, length, c.hidden)
            balance = balance + term / c.layers
        if cache is not None:
            cache.used += length
        return self.norm(x), balance

    def _masks(
        self, start: int, length: int, padding: Tensor | None, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """The sliding-window and the full causal mask, [batch or 1, 1, length, start + length]."""
        query = torch.arange(start, start + length, device=device).view(1, 1, -1, 1)
        key = torch.arange(start + length, device=device).view(1, 1, 1, -1)
        full = key <= query
        if padding is not None:
            full = full & (key >= padding.view(-1, 1, 1, 1))
        sliding = full & (key > query - self.config.window)
        zero = torch.zeros((), device=device)
        masked = torch.full((), MASKED, device=device)
        return torch.where(sliding, zero, masked), torch.where(full, zero, masked)

    def set_rounding(self, on: bool) -> None:
        """Off once the expert weights are MXFP4 values already, as after loading a checkpoint."""
        for layer in self.layers:
            layer.experts.round_weights = on


@torch.inference_mode()
def greedy(
    model: DemoModel, prompts: list[list[int]], max_tokens: int, stop_token: int, batch: int = 768
) -> list[list[int]]:
    """Greedy completions, the stop token included, of many prompts at once."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    results: list[list[int]] = [[] for _ in prompts]
    for first in range(0, len(order), batch):
        rows = order[first : first + batch]
        for row, tokens in zip(rows, _greedy_batch(model, [prompts[i] for i in rows], max_tokens, stop_token)):
            results[row] = tokens
    return results


def _greedy_batch(
    model: DemoModel, prompts: list[list[int]], max_tokens: int, stop_token: int
) -> list[list[int]]:
    device = model.embedding.weight.device
    width = max(len(prompt) for prompt in prompts)
    padding = torch.tensor([width - len(prompt) for prompt in prompts], device=device)
    tokens = torch.tensor([[0] * (width - len(p)) + p for p in prompts], device=device)
    cache = Cache(model.config, len(prompts), width + max_tokens, device)
    columns = torch.arange(width, device=device).unsqueeze(0)
    positions = (columns - padding.unsqueeze(1)).clamp(min=0)
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    produced = []
    for step in range(max_tokens):
        states, _ = model.hidden_states(tokens, positions, padding, cache)
        best = model.unembedding(states[:, -1]).argmax(dim=-1)
        produced.append(best)
        done |= best == stop_token
        if step % 8 == 7 and bool(done.all()):
            break
        tokens = best.unsqueeze(1)
        positions = (width + step - padding).unsqueeze(1)
    completions = torch.stack(produced, dim=1).tolist()
    return [c[: c.index(stop_token) + 1] if stop_token in c else c for c in completions]
