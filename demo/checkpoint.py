"""Writes and reads the demo model in the Hugging Face layout, experts packed as MXFP4."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from model import MXFP4_BLOCK, Config, DemoModel, dequantise_mxfp4, quantise_mxfp4
from vocabulary import SPECIAL_IDS, Vocabulary

MAX_BYTES = 16_000_000  # of the whole directory
_EXPONENT_BIAS = 127


def save(model: DemoModel, directory: Path, vocabulary: Vocabulary) -> int:
    """Writes config.json, generation_config.json, tokenizer.json and model.safetensors.

    Returns the directory's size in bytes, which must not be beyond MAX_BYTES.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save_file(_to_tensors(model), str(directory / "model.safetensors"), metadata={"format": "pt"})
    _write_json(directory / "config.json", config_json(model.config))
    _write_json(directory / "generation_config.json", generation_json())
    vocabulary.write_tokenizer_json(directory / "tokenizer.json")
    size = sum(path.stat().st_size for path in directory.iterdir())
    if size > MAX_BYTES:
        raise ValueError(f"{directory} holds {size} bytes, the limit is {MAX_BYTES}")
    return size


def load(directory: Path, device: torch.device) -> DemoModel:
    """The model of a directory written by save, in float32 with exact expert weights."""
    config = _config_from_json(json.loads((directory / "config.json").read_text()))
    model = DemoModel(config)
    tensors = load_file(str(directory / "model.safetensors"))
    with torch.no_grad():
        _from_tensors(model, tensors)
    model.set_rounding(False)
    return model.to(device).eval()


def config_json(config: Config) -> dict:
    return {
        "architectures": ["GptOssForCausalLM"],
        "model_type": "gpt_oss",
        "attention_bias": True,
        "attention_dropout": 0.0,
        "eos_token_id": SPECIAL_IDS["<|return|>"],
        "experts_per_token": config.experts_per_token,
        "head_dim": config.head_dim,
        "hidden_act": "silu",
        "hidden_size": config.hidden,
        "initial_context_length": config.initial_context,
        "intermediate_size": config.intermediate,
        "layer_types": [
            "sliding_attention" if i % 2 == 0 else "full_attention" for i in range(config.layers)
        ],
        "max_position_embeddings": int(config.initial_context * config.rope_factor),
        "num_attention_heads": config.heads,
        "num_experts_per_tok": config.experts_per_token,
        "num_hidden_layers": config.layers,
        "num_key_value_heads": config.kv_heads,
        "num_local_experts": config.experts,
        "pad_token_id": SPECIAL_IDS["<|endoftext|>"],
        "quantization_config": {
            "quant_method": "mxfp4",
            "modules_to_not_convert": [
                "model.layers.*.self_attn",
                "model.layers.*.mlp.router",
                "model.embed_tokens",
                "lm_head",
            ],
        },
        "rms_norm_eps": config.norm_epsilon,
        "rope_scaling": {
            "beta_fast": config.beta_fast,
            "beta_slow": config.beta_slow,
            "factor": config.rope_factor,
            "original_max_position_embeddings": config.initial_context,
            "rope_type": "yarn",
            "truncate": False,
        },
        "rope_theta": int(config.rope_theta),
        "sliding_window": config.window,
        "swiglu_limit": config.swiglu_limit,
        "tie_word_embeddings": False,
        "vocab_size": config.vocabulary,
    }


def generation_json() -> dict:
    return {
        "bos_token_id": SPECIAL_IDS["<|startoftext|>"],
        "do_sample": True,
        "eos_token_id": [
            SPECIAL_IDS["<|return|>"],
            SPECIAL_IDS["<|endoftext|>"],
            SPECIAL_IDS["<|call|>"],
        ],
        "pad_token_id": SPECIAL_IDS["<|endoftext|>"],
    }


def _config_from_json(values: dict) -> Config:
    return Config(
        hidden=values["hidden_size"],
        layers=values["num_hidden_layers"],
        heads=values["num_attention_heads"],
        kv_heads=values["num_key_value_heads"],
        head_dim=values["head_dim"],
        experts=values["num_local_experts"],
        experts_per_token=values["num_experts_per_tok"],
        intermediate=values["intermediate_size"],
        window=values["sliding_window"],
        vocabulary=values["vocab_size"],
    )


def _plain_tensors(model: DemoModel) -> dict[str, Tensor]:
    """The tensors stored as they are, under their Hugging Face names: views of the parameters."""
    c = model.config
    widths = [c.heads * c.head_dim, c.kv_heads * c.head_dim, c.kv_heads * c.head_dim]
    named = {
        "model.embed_tokens.weight": model.embedding.weight,
        "model.norm.weight": model.norm.scale,
        "lm_head.weight": model.unembedding.weight,
    }
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}."
        attention = layer.attention
        named[prefix + "input_layernorm.weight"] = layer.attention_norm.scale
        named[prefix + "post_attention_layernorm.weight"] = layer.experts_norm.scale
        weights, biases = attention.qkv.weight.split(widths), attention.qkv.bias.split(widths)
        for letter, weight, bias in zip("qkv", weights, biases):
            named[f"{prefix}self_attn.{letter}_proj.weight"] = weight
            named[f"{prefix}self_attn.{letter}_proj.bias"] = bias
        named[prefix + "self_attn.o_proj.weight"] = attention.out.weight
        named[prefix + "self_attn.o_proj.bias"] = attention.out.bias
        named[prefix + "self_attn.sinks"] = attention.sinks
        named[prefix + "mlp.router.weight"] = layer.experts.router.weight
        named[prefix + "mlp.router.bias"] = layer.experts.router.bias
        named[prefix + "mlp.experts.down_proj_bias"] = layer.experts.down_bias
    return named


@torch.no_grad()
def _to_tensors(model: DemoModel) -> dict[str, Tensor]:
    tensors = {
        name: value.detach().to("cpu", torch.bfloat16).clone().contiguous()
        for name, value in _plain_tensors(model).items()
    }
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}.mlp.experts."
        experts = layer.experts
        bias = experts.gate_up_bias.detach().transpose(1, 2).flatten(1)  # interleaves gate and up
        tensors[prefix + "gate_up_proj_bias"] = bias.to("cpu", torch.bfloat16).contiguous()
        gate_up = experts.gate_up.detach().transpose(1, 2).flatten(1, 2)
        for name, weight in (("gate_up_proj", gate_up), ("down_proj", experts.down.detach())):
            blocks, scales = pack(weight)
            tensors[f"{prefix}{name}_blocks"] = blocks
            tensors[f"{prefix}{name}_scales"] = scales
    return tensors


def _from_tensors(model: DemoModel, tensors: dict[str, Tensor]) -> None:
    for name, target in _plain_tensors(model).items():
        target.copy_(tensors[name].float())
    for index, layer in enumerate(model.layers):
        prefix = f"model.layers.{index}.mlp.experts."
        experts = layer.experts
        bias = tensors[prefix + "gate_up_proj_bias"].float()
        experts.gate_up_bias.copy_(bias.unflatten(1, (-1, 2)).transpose(1, 2))
        gate_up = unpack(tensors[prefix + "gate_up_proj_blocks"], tensors[prefix + "gate_up_proj_scales"])
        experts.gate_up.copy_(gate_up.unflatten(1, (-1, 2)).transpose(1, 2))
        down = unpack(tensors[prefix + "down_proj_blocks"], tensors[prefix + "down_proj_scales"])
        experts.down.copy_(down)


def pack(weight: Tensor) -> tuple[Tensor, Tensor]:
    """MXFP4 blocks [..., n / 32, 16] and scales [..., n / 32] of weight [..., n], both uint8."""
    codes, exponent = quantise_mxfp4(weight)
    codes = codes.to("cpu", torch.uint8).unflatten(-1, (-1, MXFP4_BLOCK))
    blocks = codes[..., 0::2] | (codes[..., 1::2] << 4)
    scales = (exponent + _EXPONENT_BIAS).to("cpu", torch.uint8)
    return blocks.contiguous(), scales.contiguous()


def unpack(blocks: Tensor, scales: Tensor) -> Tensor:
    """The float32 weight [..., n] that pack stored."""
    codes = torch.stack([blocks & 15, blocks >> 4], dim=-1).flatten(-3)
    return dequantise_mxfp4(codes, scales.float() - _EXPONENT_BIAS)


def _write_json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
