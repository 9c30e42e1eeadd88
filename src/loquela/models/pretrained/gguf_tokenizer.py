"""llama.cpp's byte-level BPE vocabulary → tokenizer.json, tokenizer_config.json and the chat template."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from loquela.artifacts.word_cuts import PRE_TOKENIZERS
from loquela.core.atomic import write_json, write_text
from loquela.core.errors import ErrorCode
from loquela.core.near_names import unknown_name
from loquela.models.pretrained.failures import unusable
from loquela.models.pretrained.folder_files import (
    GENERATION_NAME,
    TEMPLATE_NAME,
    TOKENIZER_CONFIG_NAME,
    TOKENIZER_NAME,
)
from loquela.models.pretrained.gguf_file import GgufFile
from loquela.models.pretrained.gguf_network import FULL_MODEL

KEY = "tokenizer.ggml."
# llama_token_type
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED = 1, 2, 3, 4, 5
ROLES = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
STOPS = ("eos", "eot", "eom")
COMPOSING = ("qwen2",)
WHOLE_WORDS_FIRST = ("llama-bpe",)
BYTES: JsonValue = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}


def write_tokenizer(file: GgufFile, folder: Path) -> None:
    """Write the tokenizer's files; DataError(UNSUPPORTED_FORMAT) for a vocabulary that cannot be written so."""
    tokens, kinds = file.texts(KEY + "tokens"), file.numbers(KEY + "token_type")
    kinds = kinds if len(kinds) == len(tokens) else [NORMAL] * len(tokens)
    write_json(folder / TOKENIZER_NAME, _document(file, tokens, kinds))
    config: dict[str, JsonValue] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "add_bos_token": file.flag(KEY + "add_bos_token"),
    }
    config |= {role: tokens[number] for role, name in ROLES.items() if (number := _token_id(file, name)) is not None}
    write_json(folder / TOKENIZER_CONFIG_NAME, config)
    stops: list[JsonValue] = [number for name in STOPS if (number := _token_id(file, name)) is not None]
    write_json(folder / GENERATION_NAME, {"eos_token_id": stops})
    template = file.text("tokenizer.chat_template")
    if template is not None:
        write_text(folder / TEMPLATE_NAME, template)


def _document(file: GgufFile, tokens: list[str], kinds: list[int]) -> dict[str, JsonValue]:
    cut = _word_cut(file)
    name = file.text(KEY + "pre")
    vocabulary: dict[str, JsonValue] = {
        token: number for number, (token, kind) in enumerate(zip(tokens, kinds, strict=True)) if kind != UNUSED
    }
    added: list[JsonValue] = [
        {
            "id": number,
            "content": tokens[number],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": kind != USER_DEFINED,
        }
        for number, kind in enumerate(kinds)
        if kind in (UNKNOWN, CONTROL, USER_DEFINED)
    ]
    merges: list[JsonValue] = []
    for merge in file.texts(KEY + "merges"):
        left, _, right = merge.partition(" ")
        merges.append([left, right])
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": {"type": "NFC"} if name in COMPOSING else None,
        "pre_tokenizer": cut,
        "post_processor": _beginning(file, tokens),
        "decoder": BYTES,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": name in WHOLE_WORDS_FIRST,
            "vocab": vocabulary,
            "merges": merges,
        },
    }


def _word_cut(file: GgufFile) -> JsonValue:
    model = file.text(KEY + "model")
    if model != "gpt2":
        raise unusable(
            file.path,
            f"its tokenizer is llama.cpp's {model}; of those in GGUF files only byte-level BPE (gpt2) is converted",
            FULL_MODEL,
            ErrorCode.UNSUPPORTED_FORMAT,
        )
    known = {name: cut for cut, name in PRE_TOKENIZERS}
    name = str(file.text(KEY + "pre"))
    if name not in known:
        raise unusable(
            file.path, unknown_name("way of cutting words", name, known), FULL_MODEL, ErrorCode.UNSUPPORTED_FORMAT
        )
    return _with_offsets(known[name])


def _with_offsets(cut: JsonValue) -> JsonValue:
    """The library wants to be told how offsets are counted, which changes no id."""
    if isinstance(cut, list):
        return [_with_offsets(part) for part in cut]
    if not isinstance(cut, dict):
        return cut
    whole = {name: _with_offsets(part) for name, part in cut.items()}
    return {**whole, "trim_offsets": True} if whole.get("type") == "ByteLevel" else whole


def _beginning(file: GgufFile, tokens: list[str]) -> JsonValue:
    """A beginning token in front of every text where llama.cpp puts one there."""
    number = _token_id(file, "bos")
    if number is None or not file.flag(KEY + "add_bos_token"):
        return {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    begin: JsonValue = {"SpecialToken": {"id": tokens[number], "type_id": 0}}
    first: JsonValue = {"Sequence": {"id": "A", "type_id": 0}}
    second: JsonValue = {"Sequence": {"id": "B", "type_id": 1}}
    return {
        "type": "TemplateProcessing",
        "single": [begin, first],
        "pair": [begin, first, second],
        "special_tokens": {tokens[number]: {"id": tokens[number], "ids": [number], "tokens": [tokens[number]]}},
    }


def _token_id(file: GgufFile, name: str) -> int | None:
    number = file.number(f"{KEY}{name}_token_id")
    return number if number is not None and 0 <= number < len(file.texts(KEY + "tokens")) else None
