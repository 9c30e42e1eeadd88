"""How a base that cannot be used is told: what is wrong with which folder, and the edit that mends it."""

from __future__ import annotations

from pathlib import Path

from loquela.core.errors import DataError, ErrorCode

REMEDY = (
    "give a Hugging Face folder with config.json, model.safetensors and tokenizer.json; "
    "a pickled one is converted by loading it where it is trusted and calling save_pretrained"
)


def unusable(
    place: Path | str, what: str, remedy: str = REMEDY, code: ErrorCode = ErrorCode.PRETRAINED_LOAD_FAILED
) -> DataError:
    """The error for a base in `place` that cannot be used because of `what`."""
    return DataError(code, f"{place} cannot be used as a base: {what}", remedy, details={"path": str(place)})


def unusable_adapter(
    folder: Path, what: str, remedy: str, code: ErrorCode = ErrorCode.PRETRAINED_LOAD_FAILED
) -> DataError:
    """The error for an adapter in `folder` that cannot be used because of `what`."""
    message = f"{folder} cannot be used as an adapter: {what}"
    return DataError(code, message, remedy, details={"path": str(folder)})
