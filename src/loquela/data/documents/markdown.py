"""Markdown → text: as it is, or without its marks."""

from __future__ import annotations

from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.decoding import decoded
from loquela.data.documents.draft import Draft


def read_markdown(request: LoadRequest) -> Draft:
    """The text; DataError(ENCODING_ERROR) for bytes of no known encoding."""
    text, warnings = decoded(request.path.read_bytes(), request.name)
    return Draft([text], warnings=warnings)
