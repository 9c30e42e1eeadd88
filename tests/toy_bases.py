"""Tiny random pretrained models of every supported shape, as Hugging Face folders, written once per test session."""

from __future__ import annotations

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
END = "<|im_end|>"
VOCABULARY = 512
CONTEXT = 256

LLAMA_SIZES = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": CONTEXT,
}
# name → (configuration class, model class, settings)
SHAPES: dict[str, tuple[str, str, dict[str, object]]] = {
    "llama": ("LlamaConfig", "LlamaForCausalLM", LLAMA_SIZES),
    "smollm": ("LlamaConfig", "LlamaForCausalLM", {**LLAMA_SIZES, "tie_word_embeddings": True}),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", {**LLAMA_SIZES, "tie_word_embeddings": True}),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {**LLAMA_SIZES, "head_dim": 8}),
    "mistral": ("MistralConfig", "MistralForCausalLM", {**LLAMA_SIZES, "sliding_window": None}),
    "mixtral": ("MixtralConfig", "MixtralForCausalLM", {**LLAMA_SIZES, "num_local_experts": 4}),
    "olmo": ("OlmoConfig", "OlmoForCausalLM", LLAMA_SIZES),
    "olmo2": ("Olmo2Config", "Olmo2ForCausalLM", LLAMA_SIZES),
    "smollm3": ("SmolLM3Config", "SmolLM3ForCausalLM", {**LLAMA_SIZES, "tie_word_embeddings": True}),
    "gpt2": ("GPT2Config", "GPT2LMHeadModel", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}),
}
TEXT = [
    "The river runs past the old mill and under the stone bridge.",
    "Where does the river run? It runs under the bridge.",
    "¿Dónde corre el río? Corre bajo el puente de piedra, niño.",
    'system user assistant You are a helpful assistant. 0123456789 {"answer": [1, 2.5, true]}',
]


def toy_base(shape: str = "llama", template: str | None = CHATML) -> Path:
    """A folder that holds a tiny random model of `shape`; shared by all tests: copy it before changing it."""
    return _written(shape, template)


def copied_base(target: Path, shape: str = "llama", template: str | None = CHATML) -> Path:
    """A copy of `toy_base` in `target` that the test may change."""
    shutil.copytree(toy_base(shape, template), target)
    return target


@cache
def _written(shape: str, template: str | None) -> Path:
    import torch
    import transformers

    folder = _root() / f"{shape}-{'template' if template == CHATML else abs(hash(template))}"
    config_name, model_name, sizes = SHAPES[shape]
    write_tokenizer(folder, template)
    ends = _ids(folder)
    config = getattr(transformers, config_name)(
        **sizes,
        vocab_size=VOCABULARY,
        bos_token_id=ends["<|endoftext|>"],
        eos_token_id=ends[END],
        pad_token_id=ends["<|endoftext|>"],
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = getattr(transformers, model_name)(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.15)
    model.save_pretrained(folder)
    return folder


@cache
def _root() -> Path:
    import atexit

    folder = Path(tempfile.mkdtemp(prefix="loquela-toy-bases-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def write_tokenizer(folder: Path, template: str | None = CHATML) -> None:
    """A small byte-level BPE tokenizer with ChatML's control tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 8,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT * 2, trainer)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "bos_token": SPECIAL[0],
        "eos_token": END,
        "pad_token": SPECIAL[0],
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)


def _ids(folder: Path) -> dict[str, int]:
    document = json.loads((folder / "tokenizer.json").read_text())
    return {entry["content"]: entry["id"] for entry in document["added_tokens"]}
