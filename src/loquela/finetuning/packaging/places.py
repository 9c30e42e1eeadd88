"""What a package says goes wherever the package goes; where things lay on the machine that made it stays there.

Known folders (the output directory, the base, what the recipe names) become their last name, so that what lies below
them keeps its place in them; any other absolute path becomes its last name as well.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from pydantic import JsonValue

from loquela.core.atomic import write_json, write_text

# At least two names from the root on; an address behind :// is none.
_ABSOLUTE = re.compile(r"(?<![\w:/.~\\-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\\"'`,;:()|<>]+[/\\])+([^\s/\\\"'`,;:()|<>]*)")
# Text that people and programs read; weights and tokenizers say nothing about places.
RECORDS = (".json", ".yaml")


class Places:
    """Takes places out of records; `folders` may have spaces in their names."""

    def __init__(self, folders: Iterable[str]) -> None:
        names: dict[str, str] = {}
        for folder in folders:
            path = Path(folder).expanduser()
            for form in (folder, str(path), str(path.resolve())):
                if Path(form).is_absolute() and len(Path(form).parts) > 2:
                    names[form.rstrip("/")] = Path(form).name
        self._known = [
            (re.compile(rf"(?<![\w:/.~-]){re.escape(form)}(?![\w-])"), name.replace("\\", r"\\"))
            for form, name in sorted(names.items(), key=lambda pair: -len(pair[0]))
        ]

    def text(self, text: str) -> str:
        """`text` without places."""
        for known, name in self._known:
            text = known.sub(name, text)
        return _ABSOLUTE.sub(lambda found: found[1] or "…", text)

    def value(self, value: JsonValue) -> JsonValue:
        """JSON without places, in keys as well."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {self.text(key): self.value(item) for key, item in value.items()}
        return value

    def copy(self, source: Path, target: Path) -> None:
        """Copy a record, JSON or YAML without its places; ResourceError or OSError as the file system."""
        if source.suffix == ".json":
            write_json(target, self.value(json.loads(source.read_bytes())))
        elif source.suffix in RECORDS:
            write_text(target, self.text(source.read_text(encoding="utf-8")))
        else:
            shutil.copyfile(source, target)
