"""The tokenizer and the chat template that come with a base."""

from __future__ import annotations

from loquela.artifacts.base import Base
from loquela.tokenizers.contract import TokenizerHandle
from loquela.tokenizers.load import load_foreign
from loquela.tokenizers.template_file import find_template


def load_base_tokenizer(base: Base) -> TokenizerHandle:
    """The base's own tokenizer.json; DataError(CORRUPTION) when the library cannot read it."""
    return load_foreign(base.folder)


def base_template(base: Base) -> str | None:
    """The Jinja text of the base's chat template; None for a base that has none."""
    found = find_template([base.folder])
    return None if found is None else found.source
