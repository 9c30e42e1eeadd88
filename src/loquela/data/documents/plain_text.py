"""Plain text as a document: decoded, otherwise as it is."""

from __future__ import annotations

from loquela.data.documents.contract import LoadRequest
from loquela.data.documents.decoding import decoded
from loquela.data.documents.draft import Draft


def read_text(request: LoadRequest) -> Draft:
    """The whole text; DataError(ENCODING_ERROR) for bytes of no known encoding."""
    text, warnings = decoded(request.path.read_bytes(), request)
    return Draft([text], verbatim=True, warnings=warnings)
