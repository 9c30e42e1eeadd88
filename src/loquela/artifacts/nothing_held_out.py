"""Why an examples folder holds nothing out, and what to change in the recipe."""

from __future__ import annotations

from pathlib import Path

from loquela.artifacts.examples_facts import read_split_facts
from loquela.artifacts.manifest import MANIFEST_NAME, read_manifest


def why_nothing_held_out(directory: Path, split: str = "validation") -> tuple[str, str]:
    """Reason and remedy for a `split` without rows.

    Questions and answers keep the split of their passages, so that the share to raise is then that of the data.
    DataError(CORRUPTION) for a folder whose manifest or report cannot be read.
    """
    facts = read_split_facts(directory)
    if facts is not None and facts.drawn.get(split):
        return (
            f"all {facts.drawn[split]} that were held out were left out later, as its ledger.json says",
            "raise examples.max_tokens, or set examples.on_overlong: split or truncate",
        )
    if facts is not None and facts.components == 1:
        return (
            "they all belong together (one question, one document), so that none can be held out without its answer "
            "being learnt",
            "give examples of a second document or question",
        )
    parents = read_manifest(directory).parents if (directory / MANIFEST_NAME).is_file() else {}
    section = "data" if "qa" in parents else "examples"
    return f"{section}.{split}_fraction left nothing for it", f"set {section}.{split}_fraction above 0"
