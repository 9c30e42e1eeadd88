"""How the text of a chat template becomes tokens: whole, as transformers does it, or in parts around control tokens."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

from loquela.tokenizers.contract import ABSENT, JSON_NAME, TokenizerHandle
from loquela.tokenizers.control_text import FAMILIAR
from loquela.tokenizers.manifest import TOKENIZER_MANIFEST_NAME
from loquela.tokenizers.template_text import open_template_tokenizer


class TemplateTokens(Protocol):
    """`names` are what templates call special tokens; `control_pattern` finds control texts, longest first."""

    @property
    def names(self) -> dict[str, str]:
        """bos_token and the like → text."""

    @property
    def control_pattern(self) -> re.Pattern[str]:
        """What messages must not spell."""

    @property
    def whole(self) -> bool:
        """Whether the template is that of a model made elsewhere, to be taken as transformers takes it."""

    def id_of(self, text: str) -> int:
        """The token that `text` is; -1 where it is none."""

    def encode(self, text: str) -> list[int]:
        """Ids of a template's text."""


class PartwiseTokens:
    """Around a tokenizer that never takes text for a control token: control texts are cut out and put in as tokens."""

    whole = False

    def __init__(self, tokenizer: TokenizerHandle) -> None:
        self._tokenizer = tokenizer
        self._control_ids = _control_ids(tokenizer)
        self.control_pattern = re.compile("|".join([*map(re.escape, self._control_ids), FAMILIAR]))
        self.names = {
            "bos_token": _text_of(tokenizer, tokenizer.bos_id),
            "eos_token": _text_of(tokenizer, tokenizer.eos_id),
        }

    def id_of(self, text: str) -> int:
        """The control token that `text` is."""
        return self._control_ids.get(text, ABSENT)

    def encode(self, text: str) -> list[int]:
        """Ids of a template's text."""
        ids: list[int] = []
        done = 0
        for control in self.control_pattern.finditer(text):
            token = self._control_ids.get(control.group())
            if token is not None:
                ids += [*self._tokenizer.encode(text[done : control.start()]), token]
                done = control.end()
        return ids + self._tokenizer.encode(text[done:])


def template_tokens(place: Path, tokenizer: TokenizerHandle) -> TemplateTokens:
    """Whole for the tokenizer.json of a model made elsewhere, in parts for tokenizers made here."""
    if (place / JSON_NAME).is_file() and not (place / TOKENIZER_MANIFEST_NAME).is_file():
        return open_template_tokenizer(place)
    return PartwiseTokens(tokenizer)


def _control_ids(tokenizer: TokenizerHandle) -> dict[str, int]:
    """Control text → its token, longest first, so that none is found inside another."""
    texts = {_text_of(tokenizer, token): token for token in range(tokenizer.vocab_size)}
    special = {tokenizer.pad_id, tokenizer.unk_id, tokenizer.bos_id, tokenizer.eos_id}
    found = {text: token for text, token in texts.items() if token in special or re.fullmatch(FAMILIAR, text)}
    return {text: found[text] for text in sorted(found, key=len, reverse=True) if text}


def _text_of(tokenizer: TokenizerHandle, token: int) -> str:
    return tokenizer.token_text(token) if token >= 0 else ""
