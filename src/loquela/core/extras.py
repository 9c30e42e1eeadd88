"""Optional packages: imported where they are used, with the line that installs them when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

from loquela.core.errors import ErrorCode, ResourceError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """The imported `module`; ResourceError(MISSING_EXTRA) with the install line when its package is not there.

    `extra` is the group of optional dependencies that holds it, `purpose` what it is needed for ("reading s3://").
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not module.startswith(error.name.partition(".")[0]):
            raise
        raise missing(module.partition(".")[0], extra=extra, purpose=purpose) from error


def missing(package: str, *, extra: str, purpose: str) -> ResourceError:
    """The error for a `package` that is not installed."""
    return ResourceError(
        ErrorCode.MISSING_EXTRA,
        f"{purpose} needs the package {package}, which is not installed",
        f'pip install "loquela[{extra}]"',
        details={"package": package, "extra": extra},
    )
