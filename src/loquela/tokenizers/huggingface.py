"""Thin typed adapter around the `tokenizers` library: one handle for every method that is a tokenizer.json."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import JsonValue, TypeAdapter, ValidationError
from tokenizers import AddedToken, Tokenizer
from tokenizers.decoders import Decoder
from tokenizers.models import Model
from tokenizers.pre_tokenizers import PreTokenizer

from loquela.core.atomic import write_json, write_text
from loquela.tokenizers.contract import (
    ABSENT,
    BEGIN,
    END,
    JSON_NAME,
    PAD,
    SPECIAL_TOKENS,
    UNKNOWN,
    TokenizerArtifact,
    TokenizerTrainRequest,
)
from loquela.tokenizers.failures import check_ids, check_unicode, corrupt_file, read_file

CONFIG_NAME = "tokenizer_config.json"
ROLES = ("pad_token", "unk_token", "bos_token", "eos_token")
FAMILIAR_NAMES = {
    "pad_token": (PAD, "[PAD]", "<|pad|>", "<|padding|>"),
    "unk_token": (UNKNOWN, "[UNK]"),
    "bos_token": (BEGIN, "<s>", "[CLS]", "<|begin_of_text|>", "<|startoftext|>", "<|endoftext|>"),
    "eos_token": (END, "</s>", "[SEP]", "<|end_of_text|>", "<|endoftext|>"),
}
"""What published tokenizers call their special tokens, for files that come without a tokenizer_config.json."""

_DOCUMENT: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class HuggingFaceHandle:
    """A `tokenizers.Tokenizer` that never parses special-token text, truncates, pads or adds anything."""

    def __init__(self, tokenizer: Tokenizer, method: str, roles: dict[str, str]) -> None:
        tokenizer.encode_special_tokens = True
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.method = method
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        self.vocab_size = max(vocabulary.values(), default=-1) + 1
        self._tokens = [""] * self.vocab_size
        for token, token_id in vocabulary.items():
            self._tokens[token_id] = token
        ids = [vocabulary.get(roles[role], ABSENT) if role in roles else ABSENT for role in ROLES]
        self.pad_id, self.unk_id, self.bos_id, self.eos_id = ids
        self._special = {token_id for token_id, token in tokenizer.get_added_tokens_decoder().items() if token.special}

    def encode(self, text: str) -> list[int]:
        """Ids of `text`."""
        return self.encode_batch([text])[0]

    def encode_batch(self, texts: list[str]) -> list[list[int]]:
        """Ids of every text, on all cores."""
        try:
            return [encoding.ids for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]
        except (TypeError, UnicodeEncodeError):  # how the library words a lone surrogate
            for text in texts:
                check_unicode(text)
            raise

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, special tokens left out."""
        check_ids(ids, self.vocab_size)
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    def token_text(self, token_id: int) -> str:
        """The token as text; as stored where it is special or a piece of a character."""
        check_ids([token_id], self.vocab_size)
        if token_id in self._special:
            return self._tokens[token_id]
        text = self._tokenizer.decode([token_id], skip_special_tokens=False)
        return text if text and "\N{REPLACEMENT CHARACTER}" not in text else self._tokens[token_id]


def assemble(model: Model, pre_tokenizer: PreTokenizer | None, decoder: Decoder | None) -> Tokenizer:
    """A tokenizer of the given parts with our special tokens, which the model's vocabulary must hold as ids 0-3."""
    tokenizer = Tokenizer(model)
    if pre_tokenizer is not None:
        tokenizer.pre_tokenizer = pre_tokenizer
    if decoder is not None:
        tokenizer.decoder = decoder
    mark_special(tokenizer)
    return tokenizer


def mark_special(tokenizer: Tokenizer) -> None:
    """Tell decoders which tokens are not text."""
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])


def save(
    tokenizer: Tokenizer, method: str, request: TokenizerTrainRequest, *, loses: str, notes: list[str] | None = None
) -> TokenizerArtifact:
    """Write tokenizer.json and the tokenizer_config.json that makes transformers read it the same way."""
    write_text(request.directory / JSON_NAME, tokenizer.to_str(pretty=True) + "\n")
    write_config(request.directory, dict(zip(ROLES, SPECIAL_TOKENS, strict=True)))
    return TokenizerArtifact(method=method, files=[JSON_NAME, CONFIG_NAME], loses=loses, notes=notes or [])


def write_config(directory: Path, roles: dict[str, str]) -> None:
    """tokenizer_config.json; split_special_tokens keeps "<eos>" in a text from becoming the special token."""
    config: dict[str, JsonValue] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **roles,
    }
    write_json(directory / CONFIG_NAME, config)


def load(directory: Path, method: str) -> HuggingFaceHandle:
    """Open tokenizer.json in `directory`; DataError(DATA_NOT_FOUND, CORRUPTION) when there is none or it is damaged."""
    path = directory / JSON_NAME
    document = read_document(path)
    disarm(document)
    return HuggingFaceHandle(build(document, path), method, read_roles(path, document))


def read_document(path: Path) -> dict[str, JsonValue]:
    """The JSON of a tokenizer file."""
    try:
        return _DOCUMENT.validate_json(read_file(path, "tokenizer file"))
    except ValidationError as error:
        raise corrupt_file(path, "it is not a JSON object") from error


def build(document: dict[str, JsonValue], path: Path) -> Tokenizer:
    """The tokenizer a document describes; DataError(CORRUPTION) when the library cannot read it."""
    try:
        return Tokenizer.from_str(json.dumps(document, ensure_ascii=False))
    except Exception as error:  # the library raises bare Exception for every malformed file
        raise corrupt_file(path, str(error)) from error


def disarm(document: dict[str, JsonValue]) -> list[str]:
    """Turn off, in place, what would cut, pad or randomise text unasked; returns a sentence for each."""
    notes = []
    for key, harm in (("truncation", "cut long texts"), ("padding", "add padding tokens")):
        if document.get(key) is not None:
            document[key] = None
            notes.append(f"the file's {key} is turned off: it would {harm}")
    model = document.get("model")
    if isinstance(model, dict) and model.get("dropout"):
        model["dropout"] = None
        notes.append("the file's BPE dropout is turned off: it would encode at random")
    return notes


def read_roles(path: Path, document: dict[str, JsonValue]) -> dict[str, str]:
    """Which token plays which role, by tokenizer_config.json beside `path`, else by familiar names."""
    config = read_config(path.parent)
    roles = {role: name for role in ROLES if (name := token_name(config.get(role))) is not None}
    if roles:
        return roles
    known = _special_names(document)
    for role, names in FAMILIAR_NAMES.items():
        found = next((name for name in names if name in known), None)
        if found is not None:
            roles[role] = found
    return roles


def read_config(folder: Path, name: str = CONFIG_NAME) -> dict[str, JsonValue]:
    """The JSON object in a configuration beside a tokenizer; empty where there is none, DataError(CORRUPTION)."""
    path = folder / name
    if not path.is_file():
        return {}
    try:
        return _DOCUMENT.validate_json(read_file(path, "tokenizer configuration"))
    except ValidationError as error:
        raise corrupt_file(path, "it is not a JSON object") from error


def token_name(value: JsonValue) -> str | None:
    """A role's token is written as a string or as an object with its content."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _special_names(document: dict[str, JsonValue]) -> set[str]:
    added = document.get("added_tokens")
    entries = added if isinstance(added, list) else []
    return {name for entry in entries if (name := token_name(entry)) is not None}
