"""Files beside the sources that a corpus depends on: evaluation files, the tokenizer that chunks are measured with."""

from __future__ import annotations

from loquela.core.digests import digest_file
from loquela.data.objects.local_text import require_readable
from loquela.data.source_contract import SourceFingerprint
from loquela.recipe.schema import DataSection


def side_inputs(section: DataSection) -> dict[str, SourceFingerprint]:
    """What they hold now, by "decontaminate:<path>" and "splitter:<path>"; DataError for one that cannot be read."""
    named = [(f"decontaminate:{path}", path) for path in section.decontaminate.files]
    if section.splitter.tokenizer is not None:
        named.append((f"splitter:{section.splitter.tokenizer}", section.splitter.tokenizer))
    found: dict[str, SourceFingerprint] = {}
    for name, path in named:
        place = path.expanduser()
        found[name] = SourceFingerprint(texts=1, bytes=require_readable(place), sha256=digest_file(place))
    return found
