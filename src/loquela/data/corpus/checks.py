"""What a corpus must be before it is kept: enough to learn from and to validate on, with the strata asked for."""

from __future__ import annotations

from pydantic import JsonValue

from loquela.artifacts.corpus import CorpusWriter
from loquela.core.errors import DataError, ErrorCode, RecipeError
from loquela.data.corpus.parts import LABEL, NO_LABEL
from loquela.data.corpus.units import Units
from loquela.recipe.schema import DataSection


def require_label(units: Units, section: DataSection) -> None:
    """RecipeError(CONFIG_INVALID) when no document has the label to stratify by."""
    if section.stratify_by.startswith(LABEL) and set(units.strata) == {NO_LABEL}:
        label = section.stratify_by.removeprefix(LABEL)
        raise RecipeError(
            ErrorCode.CONFIG_INVALID,
            f"data.stratify_by names the label {label!r}, which no document has",
            f"keep that column (labels: [{label}] in the source's entry), or stratify by source",
            details={"label": label},
        )


def require_enough(writer: CorpusWriter, section: DataSection, units: int) -> None:
    """DataError (DATA_NOT_FOUND, INSUFFICIENT_DATA) for a corpus that is too small; `units` were drawn from."""
    documents, size = sum(writer.documents.values()), sum(writer.bytes.values())
    numbers: dict[str, JsonValue] = {
        "documents": documents,
        "bytes": size,
        "min_corpus_bytes": section.min_corpus_bytes,
    }
    if documents == 0:
        raise DataError(
            ErrorCode.DATA_NOT_FOUND,
            f"the sources hold no text: {', '.join(entry.key for entry in section.entries)}",
            "give data.sources that hold text",
            details=numbers,
        )
    if size < section.min_corpus_bytes:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the corpus has {size:,} bytes in {documents} documents; data.min_corpus_bytes is "
            f"{section.min_corpus_bytes:,}",
            "add sources, or lower data.min_corpus_bytes if you mean so little text",
            details=numbers,
        )
    if not writer.documents["validation"] or not writer.documents["train"]:
        raise DataError(
            ErrorCode.INSUFFICIENT_DATA,
            f"the corpus is {documents} document(s), {size:,} bytes: too few to learn from some and validate on others"
            + (
                f" ({units} when near duplicates and parts of one text are held together)" if units != documents else ""
            ),
            f"add sources, or lower data.document_bytes (now {section.document_bytes:,})",
            details=numbers,
        )
