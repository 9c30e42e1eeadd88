"""Names and paths as recipes and shells take them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path


def run_name(path: Path) -> str:
    """The file's stem as a run name: letters, digits, dot, dash and underscore."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).strip("-._")
    return name[:64] or "run"


def quoted_path(path: Path) -> str:
    """The path as a shell takes it."""
    return shlex.quote(str(path))
