"""What both sides are given: rows, and bases and adapters that were damaged on purpose."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from toy_bases import copied_base

QUESTIONS = {
    "Where does the river run?": "It runs under the bridge.",
    "¿Dónde corre el río?": "Corre bajo el puente de piedra.",
    "Give the numbers.": '{"answer": [1, 2.5, true]}',
    "What runs past the mill?": "The river runs past the old mill.",
    "Who is helpful?": "You are.",
    "Count.": "0123456789",
    "What is under the bridge?": "The river.",
    "¿Qué es de piedra?": "El puente, niño.",
}


def flip(path: Path) -> None:
    """Change one bit of the last value in a file."""
    data = bytearray(path.read_bytes())
    data[-2] ^= 0x40
    path.write_bytes(bytes(data))


def rescale(path: Path) -> None:
    """Double lora_alpha."""
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "lora_alpha": 2 * config["lora_alpha"]}))


def change_weights(base: Path) -> None:
    path = base / "model.safetensors"
    tensors = load_file(path)
    generator = torch.Generator().manual_seed(11)
    changed = {name: value + 0.05 * torch.randn(value.shape, generator=generator) for name, value in tensors.items()}
    save_file(changed, path, metadata={"format": "pt"})


def plant_nan(base: Path) -> None:
    path = base / "model.safetensors"
    tensors = load_file(path)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    for token in tokenizer.encode("Count", add_special_tokens=False).ids:
        tensors["model.embed_tokens.weight"][token, 0] = float("nan")
    save_file(tensors, path, metadata={"format": "pt"})


def long_context(base: Path) -> Path:
    """A base that sees 4096 tokens, so that no library says that a row is too long for it."""
    for name in ("config.json", "tokenizer_config.json"):
        settings = json.loads((base / name).read_text())
        for key in ("max_position_embeddings", "model_max_length"):
            if key in settings:
                settings[key] = 4096
        (base / name).write_text(json.dumps(settings))
    return base


def wide_base(folder: Path) -> Path:
    """A base whose matrices are wide enough for the blocks of bitsandbytes' packed layout."""
    base = copied_base(folder)
    config = LlamaConfig.from_pretrained(base)
    config.update({"hidden_size": 128, "intermediate_size": 256, "head_dim": 32})
    torch.manual_seed(3)
    LlamaForCausalLM(config).save_pretrained(base)
    return base


def forget_tokens(base: Path) -> None:
    """Take the control tokens of ChatML out of the vocabulary's list of special ones and give them other names."""
    path = base / "tokenizer.json"
    text = path.read_text().replace("<|im_start|>", "<|unused_0|>").replace("<|im_end|>", "<|unused_1|>")
    path.write_text(text)
    settings = base / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace("<|im_end|>", "<|unused_1|>"))
