"""The text of a chat template → tokens, whole and exactly as transformers makes them of it.

A template's text is one string in which control texts are single tokens; it is never encoded in parts, because
tokenizers treat the beginning of a text, and the blanks beside a control token, in ways of their own.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from pydantic import JsonValue
from tokenizers import AddedToken, Tokenizer

from loquela.tokenizers import huggingface
from loquela.tokenizers.contract import ABSENT, JSON_NAME
from loquela.tokenizers.control_text import FAMILIAR
from loquela.tokenizers.failures import check_unicode, missing_file

LEGACY_NAME = "special_tokens_map.json"
NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")


class TemplateTokenizer:
    """A tokenizer.json that takes control texts for what they are.

    `names` are what templates call special tokens (bos_token, …): name → text. `controls` are the texts of all special
    tokens, which text of users must not spell.
    """

    whole = True

    def __init__(self, tokenizer: Tokenizer, names: dict[str, str]) -> None:
        tokenizer.encode_special_tokens = False
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self.names = names
        added = tokenizer.get_added_tokens_decoder().values()
        special = {token.content for token in added if token.special}
        self.controls = tuple(sorted({*special, *names.values()} - {""}, key=lambda text: (-len(text), text)))
        # No vocabulary: what is special is written in one place, the added tokens.
        self.vocab_size = max(tokenizer.get_vocab(with_added_tokens=True).values(), default=-1) + 1

    @property
    def eos_id(self) -> int:
        """End of a text; -1 where there is none."""
        return self.id_of(self.names.get("eos_token", ""))

    @cached_property
    def control_pattern(self) -> re.Pattern[str]:
        """Finds control texts of this tokenizer, and those of familiar ones."""
        return re.compile("|".join([*map(re.escape, self.controls), FAMILIAR]))

    def id_of(self, text: str) -> int:
        """The token that `text` is, special or not; -1 where it is none."""
        found = self._tokenizer.token_to_id(text) if text else None
        return ABSENT if found is None else found

    def encode(self, text: str) -> list[int]:
        """Ids of a template's text; nothing is put before or behind it. DataError(TOKENIZATION_FAILED): no Unicode."""
        return self.encode_all([text])[0]

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        """`encode` of every text."""
        return self._encoded(texts, framed=False)

    def encode_plain(self, text: str) -> list[int]:
        """Ids of a text that no template frames: with what the tokenizer itself puts before and behind a text."""
        return self._encoded([text], framed=True)[0]

    def decode(self, ids: list[int]) -> str:
        """Text of `ids`, control texts written out."""
        return self._tokenizer.decode(ids, skip_special_tokens=False)

    def normalized(self, text: str) -> str:
        """`text` as the tokenizer takes it before it cuts it up."""
        normalizer = self._tokenizer.normalizer
        return text if normalizer is None else normalizer.normalize_str(text)

    def token_text(self, token_id: int) -> str:
        """One token as it stands in the vocabulary."""
        return self._tokenizer.id_to_token(token_id) or ""

    def _encoded(self, texts: list[str], *, framed: bool) -> list[list[int]]:
        try:
            return [found.ids for found in self._tokenizer.encode_batch_fast(texts, add_special_tokens=framed)]
        except (TypeError, UnicodeEncodeError):  # how the library words a lone surrogate
            for text in texts:
                check_unicode(text)
            raise


def open_template_tokenizer(folder: Path) -> TemplateTokenizer:
    """The tokenizer.json of `folder` with what its tokenizer_config.json adds to it.

    Raises DataError: DATA_NOT_FOUND where there is no tokenizer.json, CORRUPTION for a damaged file.
    """
    path = folder / JSON_NAME
    if not path.is_file():
        raise missing_file(path, "tokenizer file")
    document = huggingface.read_document(path)
    huggingface.disarm(document)
    tokenizer = huggingface.build(document, path)
    config = huggingface.read_config(folder)
    roles = {**huggingface.read_roles(path, document), **_names(folder, config)}
    _add_missing(tokenizer, config, roles)
    return TemplateTokenizer(tokenizer, roles)


def _names(folder: Path, config: dict[str, JsonValue]) -> dict[str, str]:
    legacy = huggingface.read_config(folder, LEGACY_NAME)
    found = {name: huggingface.token_name(config.get(name, legacy.get(name))) for name in NAMES}
    return {name: text for name, text in found.items() if text is not None}


def _add_missing(tokenizer: Tokenizer, config: dict[str, JsonValue], roles: dict[str, str]) -> None:
    """Tokens that only tokenizer_config.json knows, in the order of their ids, then roles that are no token yet."""
    known = {token.content: token for token in tokenizer.get_added_tokens_decoder().values()}
    listed = config.get("added_tokens_decoder")
    entries = listed if isinstance(listed, dict) else {}
    for key in sorted(entries, key=int):
        entry = entries[key]
        name = huggingface.token_name(entry)
        if name is None or not isinstance(entry, dict):
            continue
        flags = {flag: entry[flag] is True for flag in FLAGS if flag in entry}
        token = AddedToken(name, **flags)
        if name not in known or repr(known[name]) != repr(token):
            tokenizer.add_tokens([token])
    for name in dict.fromkeys(roles.values()):
        if name and name not in known and name not in {huggingface.token_name(entry) for entry in entries.values()}:
            tokenizer.add_tokens([AddedToken(name, special=True)])
