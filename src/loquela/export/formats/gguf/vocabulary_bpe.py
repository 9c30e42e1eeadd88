"""Byte-level BPE → llama.cpp's gpt2 vocabulary.

llama.cpp has no regular expression in the file: it knows how models cut words by name. A file's pre-tokenizer is
therefore looked up in PRE_TOKENIZERS.
"""

from __future__ import annotations

import json

from pydantic import JsonValue

from loquela.artifacts.word_cuts import PRE_TOKENIZERS
from loquela.export.formats.gguf.vocabulary_contract import TokenKind, Vocabulary, refused


def bpe_vocabulary(document: dict[str, JsonValue], roles: dict[str, str]) -> Vocabulary:
    """The vocabulary of a BPE tokenizer.json; RecipeError(UNSUPPORTED_FORMAT) when llama.cpp would encode otherwise."""
    model = document.get("model")
    if not isinstance(model, dict):
        raise refused("its tokenizer.json has no model")
    name = pre_tokenizer_name(document.get("pre_tokenizer"))
    # Composing text (NFC) is left to the caller, and the export's proof counts the texts that it would change.
    if document.get("normalizer") not in (None, {"type": "NFC"}):
        raise refused("it normalises text in more ways than NFC, and llama.cpp's byte-level BPE does not")
    if model.get("ignore_merges") and name != "llama-bpe":
        raise refused("its BPE model has ignore_merges, which llama.cpp knows of Llama 3's alone")
    for key in ("byte_fallback", "fuse_unk", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(key):
            raise refused(f"its BPE model has {key}, which llama.cpp's byte-level BPE has not")
    ids = _ids(model.get("vocab"))
    special, added = _added(document)
    ids |= special | added
    tokens = [f"[UNUSED{token_id}]" for token_id in range(max(ids.values()) + 1)]
    kinds = [TokenKind.UNUSED] * len(tokens)
    for token, token_id in ids.items():
        tokens[token_id] = token
        kinds[token_id] = _kind(token, special, added)
    merges = model.get("merges")
    return Vocabulary(
        model="gpt2",
        pre=name,
        tokens=tokens,
        kinds=kinds,
        merges=[_merge(merge) for merge in merges] if isinstance(merges, list) else [],
        roles={role: ids[token] for role, token in roles.items() if token in ids},
    )


def pre_tokenizer_name(pre_tokenizer: JsonValue) -> str:
    """llama.cpp's name for a pre-tokenizer; RecipeError(UNSUPPORTED_FORMAT) for one that it does not know."""
    plain = _plain(pre_tokenizer)
    for known, name in PRE_TOKENIZERS:
        if plain == known:
            return name
    shown = json.dumps(plain, ensure_ascii=False)
    raise refused(f"llama.cpp knows no pre-tokenizer that cuts words as {shown[:200]}")


def _plain(value: JsonValue) -> JsonValue:
    """A pre-tokenizer without what changes no id (offsets), and with what old files leave out."""
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _plain(inner) for name, inner in value.items() if name != "trim_offsets"}
    return {"use_regex": True, **plain} if plain.get("type") == "ByteLevel" else plain


def _ids(vocabulary: JsonValue) -> dict[str, int]:
    if not isinstance(vocabulary, dict):
        raise refused("its tokenizer.json has no vocabulary")
    return {token: token_id for token, token_id in vocabulary.items() if isinstance(token_id, int)}


def _added(document: dict[str, JsonValue]) -> tuple[dict[str, int], dict[str, int]]:
    """Special tokens, and others that were added and are always cut out of the text."""
    special: dict[str, int] = {}
    others: dict[str, int] = {}
    entries = document.get("added_tokens")
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            content, token_id = entry.get("content"), entry.get("id")
            if isinstance(content, str) and isinstance(token_id, int):
                (special if entry.get("special") else others)[content] = token_id
    return special, others


def _kind(token: str, special: dict[str, int], added: dict[str, int]) -> TokenKind:
    if token in special:
        return TokenKind.CONTROL
    return TokenKind.USER_DEFINED if token in added else TokenKind.NORMAL


def _merge(merge: JsonValue) -> str:
    """A merge is a pair in new files and a line in old ones."""
    return " ".join(str(part) for part in merge) if isinstance(merge, list) else str(merge)
