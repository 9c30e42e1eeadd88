"""How text is normalised before a tokenizer sees it, kept beside the tokenizer so that prompts meet the same rules.

    corpus text ─ normalize ─▶ tokenizer, shards, model          prompt ─ normalize ─▶ the same model

`normalization.json` travels with the tokenizer's files into every model folder.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from loquela.artifacts.manifest import corrupt
from loquela.core.atomic import write_json
from loquela.recipe.schema import NormalizationSection

NORMALIZATION_NAME = "normalization.json"


def normalize_text(text: str, section: NormalizationSection) -> str:
    """`text` after every step that `section` asks for."""
    result = text
    for _, after in normalization_steps(text, section):
        result = after
    return result


def normalization_steps(text: str, section: NormalizationSection) -> Iterator[tuple[str, str]]:
    """(what was done, the text after it) for every step that `section` asks for, in order."""
    if section.unicode == "nfc":
        text = unicodedata.normalize("NFC", text)
        yield "nfc", text
    if section.unicode == "nfkc":
        text = unicodedata.normalize("NFKC", text)
        yield "nfkc", text
    if section.lowercase:
        text = text.lower()
        yield "lowercase", text
    if section.remove_special_chars:
        yield "special_characters_removed", _special_characters().sub("", text)


def write_normalization(directory: Path, section: NormalizationSection) -> None:
    """Record `section` beside the tokenizer in `directory`."""
    write_json(directory / NORMALIZATION_NAME, section.model_dump(mode="json"))


def read_normalization(directory: Path) -> NormalizationSection:
    """What was recorded in `directory`; a folder made elsewhere has no record, and its text is left as it is.

    Raises DataError(CORRUPTION) for a record that cannot be read.
    """
    path = directory / NORMALIZATION_NAME
    if not path.is_file():
        return NormalizationSection(unicode="none")
    try:
        return NormalizationSection.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise corrupt(directory, f"{NORMALIZATION_NAME} is no record of a normalisation") from error


@functools.cache
def _special_characters() -> re.Pattern[str]:
    """Control and format characters (Unicode categories Cc and Cf) but tab and newline."""
    special = [
        chr(code)
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf") and chr(code) not in "\t\n"
    ]
    return re.compile("[" + re.escape("".join(special)) + "]+")
